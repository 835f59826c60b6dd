/**
 * A folder in which the package of the last release has worked gets the package of this version by
 * `npm install`, and then the last release again. Each first run sends what changed, and nothing else.
 * SLUICE_TEST_ROWS sets how many rows there are.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { upgradeView, type UpgradeView } from '@sluice/contracts/operator-views'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { buildPackage, installInto, LAST_RELEASE } from './last-release.ts'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const ROWS = Number(process.env['SLUICE_TEST_ROWS'] ?? 20_000)
const BODY = `'[{% for row in rows %}["{{ row.id }}","{{ row.name }}"],{% endfor %}]'`
const BATCH = `batch: { size: 1000 }, method: POST, body: { json: ${BODY} }`
const TRIGGERS = `
  added: { path: /added, ${BATCH} }
  changed: { path: /changed, ${BATCH} }
  removed: { path: /removed, ${BATCH} }`

describe(`a folder of ${LAST_RELEASE.version} with ${ROWS} rows`, () => {
  let packages = ''
  let api: ScriptedApi
  let project: ProjectFolder
  let ours = ''
  const last = LAST_RELEASE.file
  beforeAll(async () => {
    packages = await mkdtemp(join(tmpdir(), 'sluice-upgraded-'))
    api = await startScriptedApi()
    project = await projectFolder({
      files: { 'project.yaml': peopleYaml({ triggers: TRIGGERS }) },
      env: { API_URL: api.url, SLUICE_PORT: '0' },
    })
    project.program = join(packages, 'node_modules/.bin/sluice')
    ours = await buildPackage(join(packages, 'built'))
  })
  afterAll(async () => {
    await project[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
    await rm(packages, { recursive: true, force: true })
  })

  /** Writes the rows, some of them with other names. `count` rows have the ids from 1 on. */
  async function write(count: number, names: { readonly [id: number]: string }): Promise<void> {
    const rows = Array.from({ length: count }, (_, at) => `${at + 1},${names[at + 1] ?? `name ${at + 1}`}`)
    // A million rows are too many for one call, unless they are one text.
    await project.write('people.csv', peopleCsv(rows.join('\n')))
  }

  /** Makes a run, and gives the rows that it sent, by trigger. The run says nothing that frightens. */
  async function run(): Promise<{ readonly [path: string]: readonly (readonly [string, string])[] }> {
    const before = api.requests.length
    const startedAt = performance.now()
    const { exitCode, stdout, stderr } = await project.sluice('run', 'people')
    process.stderr.write(`a run of ${Math.round(performance.now() - startedAt)} ms\n${stderr}`)
    expect([exitCode, stderr], stdout).toEqual([
      0,
      expect.not.stringMatching(/error|warn|corrupt|damaged|lost|bug/i),
    ])
    expect(stdout).toContain('success')
    const sent: { [path: string]: [string, string][] } = {}
    for (const { url, body } of api.requests.slice(before)) {
      const rows: [string, string][] = JSON.parse(body)
      ;(sent[url] ??= []).push(...rows)
    }
    return sent
  }

  async function check(): Promise<UpgradeView> {
    const { exitCode, stdout } = await project.sluice('upgrade', '--check', '--json')
    const view = upgradeView.parse(JSON.parse(stdout))
    // A version may build the delivered state again.
    const others = view.checks.filter(({ effect }) => effect !== 'kept' && effect !== 'rebuilt')
    expect([exitCode, view.ok, others]).toEqual([0, true, []])
    return view
  }

  it('goes on under this version, and under the last release again', { timeout: 600_000 }, async () => {
    await installInto(packages, last)
    await write(ROWS, {})
    const first = await run()
    expect(first['/added']).toHaveLength(ROWS)
    await project.sluiceWith('a-secret-value', 'secret', 'set', 'token', '--for', '127.0.0.1')

    expect(await installInto(packages, ours)).toBe('')
    expect(await check()).toMatchObject({ writtenBy: null })
    await write(ROWS - 1, { 1: 'Ada', 7: 'Bob' })
    expect(await run()).toEqual({
      '/changed': [
        ['1', 'Ada'],
        ['7', 'Bob'],
      ],
      '/removed': [[String(ROWS), `name ${ROWS}`]],
    })
    expect(await run()).toEqual({})
    const { version } = await check()
    expect(await check()).toMatchObject({ writtenBy: version })

    await installInto(packages, last)
    await write(ROWS, { 1: 'Ada', 7: 'Bea' })
    expect(await run()).toEqual({
      '/added': [[String(ROWS), `name ${ROWS}`]],
      '/changed': [['7', 'Bea']],
    })
    expect((await project.sluice('secret', 'list')).stdout).toContain('token')

    expect(await installInto(packages, ours)).toBe('')
    await check()
    await write(ROWS, { 7: 'Bea' })
    expect(await run()).toEqual({ '/changed': [['1', 'name 1']] })
  })
})
