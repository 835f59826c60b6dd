/** `sluice preview` shows what the next run sends, also beside runs and kills, and changes nothing. */
import { once } from 'node:events'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { csv, hashes, KEY, NAMES, preview, previewFolder, previewSuite, PROJECT, SYNC } from './preview.ts'
import { distributedProfiles } from './profiles.ts'
import { finished, projectFolder, type ProjectFolder } from './project-folder.ts'

distributedProfiles().forEach(previewSuite)

describe('sluice preview beside others', () => {
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

  it('does not touch a run that was killed, and shows what follows it', async () => {
    // The run after the kill waits for the time-out, and 2 s more.
    const files = { 'project.yaml': PROJECT.replace('model: people\n', 'model: people\ntimeout: 3s\n') }
    await opened(files)
    api.on({}, { fault: 'hang' })
    const child = project.start('run', SYNC)
    await api.waitFor(1)
    child.kill('SIGKILL')
    await once(child, 'close')
    await project.write('people.csv', csv([...NAMES, 'J']))
    const before = await hashes(project.dir)
    const { view } = await preview(project)
    expect(view.requests.map(({ keys }) => keys)).toEqual([['9']])
    const { stdout } = await project.sluice('preview', SYNC)
    expect(stdout).toContain('note: an earlier run did not end')
    expect(await hashes(project.dir)).toEqual(before)
    api.reset()
    expect(await project.run(SYNC)).toMatchObject({ exitCode: 0 })
  })

  it('has as much memory for the query as a run, and fails where that fails', async () => {
    // One value of 300 MB; at 256 MB a query may have 160.
    const sql = "select 1 as id, length(string_agg(repeat('x', 1000), '')) as name from range(300000)"
    const large = PROJECT.replace(/sql: \|\n(?: {2,}.*\n)+/, `sql: ${sql}\n`)
    const files = { 'project.yaml': large.replace('big: big', 'id: id'), 'people.csv': csv(NAMES) }
    const env = { API_URL: api.url, SLUICE_SECRET_API_KEY: KEY, SLUICE_SECRET_API_KEY_FOR: '127.0.0.1' }
    const memory = (size: string) =>
      projectFolder({ files, env: { ...env, SLUICE_MEMORY: size }, here: true })
    await using small = await memory('256MB')
    for (const command of ['preview', 'run']) {
      const { exitCode, stdout, stderr } = await small.sluice(command, SYNC)
      expect([command, exitCode]).not.toEqual([command, 0])
      expect(stdout + stderr, command).toContain(
        'needs more memory than it may have: set SLUICE_MEMORY higher',
      )
    }
    await using wrong = await memory('1MB')
    for (const command of [
      ['preview', SYNC],
      ['run', SYNC],
      ['validate', '--connect'],
    ]) {
      const { stderr } = await wrong.sluice(...command)
      expect(stderr, command.join(' ')).toContain('SLUICE_MEMORY: "1MB" is not right: expected a size')
    }
  })

  it('leaves no files behind, however it ends', async () => {
    await opened()
    await mkdir(join(project.dir, 'tmp'))
    const env = { API_URL: api.url, TMPDIR: join(project.dir, 'tmp') }
    await using other = await projectFolder({
      files: { 'project.yaml': PROJECT, 'people.csv': csv(NAMES), 'none.yaml': '' },
      env,
    })
    await preview(other)
    await other.write('people.csv', 'id\n1\n')
    expect(await other.error('preview', SYNC)).toMatchObject({ exitCode: 2, code: 'query' })
    expect((await readdir(env.TMPDIR)).filter(name => name.startsWith('sluice'))).toEqual([])
    expect(await readdir(other.dir)).not.toContain('.sluice')
  })

  it('goes through a run that has the folder, and is refused for names that do not exist', async () => {
    await opened()
    const { promise: gate, resolve: open } = Promise.withResolvers<object>()
    api.on({}, () => gate)
    const running = finished(project.start('run', SYNC))
    await api.waitFor(1)
    const meanwhile = await project.sluice('preview', SYNC)
    expect(meanwhile).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('did not end') })
    open({})
    expect(await running).toMatchObject({ exitCode: 0 })
    expect(await project.error('preview', 'poeple')).toMatchObject({
      exitCode: 2,
      code: 'not-found',
      message: expect.stringContaining('did you mean `people`?'),
    })
    expect(await project.error('preview', SYNC, '--trigger', 'add')).toMatchObject({
      exitCode: 2,
      code: 'usage',
    })
    expect(await project.error('preview', SYNC, '--rows', '0')).toMatchObject({ exitCode: 2, code: 'usage' })
    const text = PROJECT.replace(/ {2}removed:.*\n/, '')
    await project.write('project.yaml', text)
    expect(await project.error('preview', SYNC, '--trigger', 'removed')).toMatchObject({
      code: 'usage',
      message: 'The sync `people` has no trigger `removed`; it has changed, added.',
    })
  })
})

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
