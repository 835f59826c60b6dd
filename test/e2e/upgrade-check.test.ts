/**
 * `sluice upgrade --check` in a folder that another version has left: it says what this version does with
 * each part, and the next run does that. A format that is not known is refused with a message, by every
 * command.
 */
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { upgradeView, type UpgradeView } from '@sluice/contracts/operator-views'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { finished, projectFolder, type ProjectFolder } from './project-folder.ts'

let api: ScriptedApi
let project: ProjectFolder
beforeEach(async () => {
  api = await startScriptedApi()
  const files = { 'project.yaml': peopleYaml(), 'people.csv': peopleCsv('1,Ada', '2,Bob') }
  project = await projectFolder({ files, env: { API_URL: api.url, SLUICE_PORT: '0' }, here: true })
})
afterEach(async () => {
  await project[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

const state = (name: string): string => join(project.dir, '.sluice', name)

/** Changes a SQLite file as another version would have left it. */
function change(file: string, sql: string): void {
  using db = new DatabaseSync(state(file))
  db.exec(sql)
}

async function checked(): Promise<{ readonly exitCode: number | null; readonly view: UpgradeView }> {
  const { exitCode, stdout } = await project.sluice('upgrade', '--check', '--json')
  return { exitCode, view: upgradeView.parse(JSON.parse(stdout)) }
}

/** The effects by check. */
async function effects(): Promise<{ readonly [check: string]: UpgradeView['checks'][number]['effect'] }> {
  const { view } = await checked()
  return Object.fromEntries(view.checks.map(({ check, effect }) => [check, effect]))
}

describe('before an upgrade', () => {
  it('a folder in which nothing ran has nothing to take over', async () => {
    const { exitCode, view } = await checked()
    expect([exitCode, view.ok, view.writtenBy]).toEqual([0, true, null])
    expect(await readdir(project.dir)).toEqual(['people.csv', 'project.yaml'])
  })

  it('a folder of this version is kept, and the check changes nothing', async () => {
    await project.run('people')
    await project.sluiceWith('a-secret-value', 'secret', 'set', 'token', '--for', '127.0.0.1')
    const before = await readdir(state('.'), { recursive: true })
    const { exitCode, view } = await checked()
    expect([exitCode, view.ok, view.writtenBy]).toEqual([0, true, view.version])
    expect(await effects()).toEqual({
      ...{ version: 'kept', log: 'kept', schemas: 'kept', resources: 'kept', runs: 'kept', vault: 'kept' },
      ...{ state: 'kept', project: 'kept', 'way back': 'kept' },
    })
    expect(await readdir(state('.'), { recursive: true })).toEqual(before)
    const { stdout } = await project.sluice('upgrade', '--check')
    expect(stdout).toContain('This version can go on with what is there.')
  })

  it('a cache of another form is built again, and the next run sends what changed alone', async () => {
    await project.run('people')
    const [cache = ''] = await readdir(state('state'))
    const instance = await DuckDBInstance.create(state(`state/${cache}`))
    const connection = await instance.connect()
    await connection.run("UPDATE meta SET value = '7' WHERE name = 'format'")
    connection.closeSync()
    instance.closeSync()
    const { exitCode, view } = await checked()
    expect([exitCode, view.ok]).toEqual([0, true])
    expect(view.checks).toContainEqual(
      expect.objectContaining({ check: 'state', status: 'warning', effect: 'rebuilt' }),
    )
    await project.write('people.csv', peopleCsv('1,Ada', '2,Bea'))
    expect((await project.run('people')).view.status).toBe('success')
    expect(api.requests.map(({ url }) => url).slice(2)).toEqual(['/people/2'])
    expect(await effects()).toMatchObject({ state: 'kept' })
  })

  it('an index of another format is built again, and an old one may be kept before', async () => {
    await project.run('people')
    change(
      'history.db',
      "CREATE TABLE meta (name TEXT, value INTEGER); INSERT INTO meta VALUES ('format', 9)",
    )
    const { exitCode, view } = await checked()
    expect(exitCode).toBe(0)
    expect(view.checks).toContainEqual(
      expect.objectContaining({
        ...{ check: 'history', effect: 'rebuilt', found: expect.stringContaining('format 9') },
        advice: expect.stringContaining('keep a copy'),
      }),
    )
  })

  it('a key that does not open the vault has to be put back first', async () => {
    await project.run('people')
    await project.sluiceWith('a-secret-value', 'secret', 'set', 'token', '--for', '127.0.0.1')
    await writeFile(state('key'), Buffer.alloc(32, 1).toString('base64'))
    expect((await checked()).exitCode).toBe(2)
    expect(await effects()).toMatchObject({ vault: 'by-hand' })
  })

  it('a file that this version does not accept has to be changed first', async () => {
    await project.run('people')
    await project.write('other.yaml', 'kind: source\nname: other\ntype: duckdb\npath: .\nlater: 1\n')
    expect((await checked()).exitCode).toBe(2)
    expect(await effects()).toMatchObject({ project: 'by-hand', log: 'kept' })
    await rm(join(project.dir, 'other.yaml'))
    expect((await checked()).exitCode).toBe(0)
  })

  it('a process at work is named, since it has to stop', async () => {
    await project.run('people')
    const up = project.start('up')
    const ended = finished(up)
    try {
      // A check holds the state itself for a moment. Without a pause between, the server may never get it.
      const often = { timeout: 120_000, interval: 2_000 }
      await expect.poll(async () => (await effects())['lock'], often).toBe('by-hand')
      expect((await checked()).exitCode).toBe(0)
    } finally {
      up.kill('SIGTERM')
      await ended
    }
  })
})

describe('what a later version has left', () => {
  it('is refused if the log has another format, by every command and without a trace of the stack', async () => {
    await project.run('people')
    change('log.db', "UPDATE log_format SET version = 2, written_by = '9.9.0'")
    const { exitCode, view } = await checked()
    expect([exitCode, view.ok, view.writtenBy]).toEqual([2, false, '9.9.0'])
    expect(await effects()).toMatchObject({ log: 'refused', version: null })
    expect(await effects()).not.toHaveProperty('way back')
    await project.write('people.csv', peopleCsv('1,Ada', '2,Bea'))
    for (const command of ['run people', 'runs', 'syncs', 'secret list', 'failed people', 'preview people']) {
      const { exitCode, stderr } = await project.sluice(...command.split(' '))
      expect([command, exitCode]).toEqual([command, 2])
      expect(stderr).toMatch(/has format 2, and this version of Sluice reads format 1\. Sluice 9\.9\.0/)
      expect(stderr).not.toMatch(/^ +at |bug in Sluice/m)
    }
    expect(api.requests).toHaveLength(2)
  })

  it('is refused if the log has records that this version does not know', async () => {
    await project.run('people')
    const schema = JSON.stringify({ type: 'record', name: 'sluice.Later', fields: [] })
    change(
      'log.db',
      `INSERT INTO schema_texts (text) VALUES ('${schema}');
       INSERT INTO schema_versions SELECT 'sluice.Later', 1, id FROM schema_texts WHERE text = '${schema}'`,
    )
    expect((await checked()).exitCode).toBe(2)
    expect(await effects()).toMatchObject({ schemas: 'refused', log: 'kept' })
  })
})

describe('the command', () => {
  it('says what it wants', async () => {
    expect(await project.error('upgrade')).toMatchObject({
      exitCode: 2,
      code: 'usage',
      message: expect.stringContaining('--check'),
    })
  })
})
