/** `sluice preview` shows what the next run sends, and changes nothing. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { csv, KEY, NAMES, preview, previewFolder, PROJECT, SYNC } from './preview.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

describe('sluice preview of a folder', () => {
  let api: ScriptedApi
  let project: ProjectFolder

  const opened = async (files: { readonly [file: string]: string } = {}, names = NAMES) =>
    (project = await previewFolder(api, files, names))
  beforeEach(async () => {
    api = await startScriptedApi()
  })
  afterEach(async () => {
    await project[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  it('chooses rows by key, trigger and number', async () => {
    await opened()
    await project.run(SYNC)
    await project.write('people.csv', csv(['Ann!', 'Bob', null, null, 'E', 'F', 'G', 'H', 'I', 'J', 'K']))
    const keysOf = async (...options: readonly string[]) => {
      const { view } = await preview(project, ...options)
      expect(view.counts).toEqual({ added: 2, changed: 2, removed: 2 })
      return view.requests.map(({ trigger, keys }) => `${trigger} ${keys.join()}`)
    }
    expect(await keysOf('--key', '9')).toEqual(['added 9'])
    expect(await keysOf('--key', '4')).toEqual([])
    expect(await keysOf('--trigger', 'changed')).toEqual(['changed 0', 'changed 1'])
    expect(await keysOf('--trigger', 'added', '--rows', '1')).toEqual(['added 9'])
    expect(await keysOf('--rows', '3')).toEqual(['removed 2', 'removed 3', 'changed 0'])
  })

  it('shows rows that would not go out, with the reason, and exits with 3', async () => {
    await opened({ 'people.csv': 'id,name\n0,Ann\n1,\n2,Cid\n2,Cid\n,Dan\n' })
    const path = "'/people/{{ name }}'"
    const single = PROJECT.replace(/ {4}batch:.*\n/, '')
    await project.write('project.yaml', single.replace('path: /people\n', `path: ${path}\n`))
    const { exitCode, view } = await preview(project)
    expect(exitCode).toBe(3)
    expect(view).toMatchObject({
      counts: { added: 2, changed: 0, removed: 0 },
      requests: [{ keys: ['0'] }],
      rejected: [
        {
          trigger: 'added',
          keys: ['1'],
          error: expect.stringMatching(/^path: a value in the path is null or empty/),
        },
      ],
      invalidRows: [{ key: null }, { key: '2' }],
    })
    const { exitCode: code, stdout } = await project.sluice('preview', SYNC)
    expect(code).toBe(3)
    expect(stdout).toContain('✗ would be rejected  added · 1')
    expect(stdout).toContain('2: 2 rows have this primary key')
  })

  it('reads well, and says how to see more', async () => {
    const many = Array.from({ length: 120 }, (_, id) => `name ${id}`)
    await opened({}, many)
    const all = await project.sluice('preview', SYNC)
    expect(all).toMatchObject({ exitCode: 0, stderr: '' })
    expect(all.stdout).toContain('people  the next run would send 120 rows\n')
    expect(all.stdout).toContain('120 added · 0 changed · 0 removed · 120 rows read')
    expect(all.stdout).toContain('… and more: 20 requests with 80 rows shown; `--rows N`')
    expect(all.stdout).not.toContain(KEY)
    const one = await project.sluice('preview', SYNC, '--key', '7')
    expect(one.stdout).toContain(`POST ${api.url}/v1/people?tenant=e%20u&signed=***  added · 7\n`)
    expect(one.stdout).toContain('\n\n  [\n    {"id":7,"name":"name 7",')
    const none = await project.sluice('preview', SYNC, '--key', 'x')
    expect(none).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('No row with key `x`') })
    await project.run(SYNC)
    const nothing = await project.sluice('preview', SYNC)
    expect(nothing.stdout).toBe('people  nothing would be sent\n  120 rows read\n')
    expect(nothing.exitCode).toBe(0)
  })

  it('takes the rows of a first run with skip-existing as delivered', async () => {
    await opened({
      'project.yaml': PROJECT.replace('model: people\n', 'model: people\nfirstRun: skip-existing\n'),
    })
    const { view } = await preview(project)
    expect(view).toEqual({ sync: SYNC, counts: { added: 0, changed: 0, removed: 0 }, requests: [] })
    const { stdout } = await project.sluice('preview', SYNC)
    expect(stdout).toContain('nothing would be sent')
    expect(stdout).toContain('firstRun is skip-existing: the first run takes the 9 rows as delivered')
  })

  it('needs no secrets, and says that a run does', async () => {
    project = await projectFolder({
      files: { 'project.yaml': PROJECT, 'people.csv': csv(NAMES) },
      env: { API_URL: api.url },
      here: true,
    })
    const { exitCode, view } = await preview(project)
    expect(exitCode).toBe(0)
    expect(view.requests[0]?.headers['authorization']).toBe('***')
    const { stdout } = await project.sluice('preview', SYNC)
    expect(stdout).toContain('note: a run would fail: The secret `api-key` is not set')
  })
})
