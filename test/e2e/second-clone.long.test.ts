/** A project that ran elsewhere, and whose state is not here: a second clone, or a new machine. */
import { execFile } from 'node:child_process'
import { cp } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runCli } from '@sluice/cli/run-cli'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder, type Finished, type ProjectFolder } from './project-folder.ts'

const ROWS = peopleCsv(...Array.from({ length: 300 }, (_, index) => `${index + 1},Ann`))

let api: ScriptedApi
beforeEach(async () => void (api = await startScriptedApi()))
afterEach(() => api[Symbol.asyncDispose]())

async function clone(sync = '', inGit = true): Promise<ProjectFolder> {
  const files = {
    'sluice.yaml': 'kind: project\nname: crm\n',
    'project.yaml': peopleYaml({ sync }),
    'people.csv': ROWS,
  }
  const folder = await projectFolder({ files, env: { API_URL: api.url }, here: true })
  if (!inGit) return folder
  for (const args of [
    ['init', '-q'],
    ['add', '.'],
  ])
    await promisify(execFile)('git', args, { cwd: folder.dir })
  return folder
}

/** The command on a terminal, where somebody answers. */
async function typed({ dir }: ProjectFolder, answer: string, ...argv: readonly string[]): Promise<Finished> {
  const printed = { stdout: '', stderr: '' }
  const exitCode = await runCli({
    ...{ argv: [...argv, '--dir', dir], cwd: dir, env: { API_URL: api.url } },
    stdin: Object.assign(Readable.from([answer]), { isTTY: true }),
    stdout: { write: text => (printed.stdout += text) },
    stderr: { write: text => (printed.stderr += text) },
    signal: new AbortController().signal,
  })
  return { exitCode, ...printed }
}

const ASKED = 'Send 300 rows as added? [y/N]'
const added = (detected: number) => ({ status: 'success', triggers: { added: { detected } } })

describe('a second clone', () => {
  it('asks on a terminal before it sends every row, says how to begin else, and sends nothing without a yes', async () => {
    await using folder = await clone()
    const refused = await typed(folder, 'n\n', 'run', 'people')
    expect(refused).toMatchObject({ exitCode: 0, stdout: 'Nothing was sent.\n' })
    expect(refused.stderr).toContain('all rows of people are sent as added')
    expect(refused.stderr).toMatch(/`sluice .*run people --first-run skip-existing`/)
    expect(refused.stderr).toContain(ASKED)
    expect(api.requests).toEqual([])
    expect((await typed(folder, 'y\n', 'run', 'people')).exitCode).toBe(0)
    expect(api.requests).toHaveLength(300)
    // Once there is a log, nobody is asked again.
    expect((await typed(folder, '', 'run', 'people')).stderr).not.toContain(ASKED)
  })

  it('begins with the rows as they are, once, by word', async () => {
    await using folder = await clone()
    const { exitCode, stdout } = await folder.sluice(
      'run',
      'people',
      '--first-run',
      'skip-existing',
      '--json',
    )
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject(added(0))
    await folder.write('people.csv', `${ROWS}301,Bob\n`)
    expect((await folder.run('people')).view).toMatchObject(added(1))
    expect(api.requests.map(({ url }) => url)).toEqual(['/people/301'])
  })

  it('with the state of the first one goes on where that was', async () => {
    await using first = await clone()
    expect((await first.run('people')).view).toMatchObject(added(300))
    await using second = await clone()
    await cp(`${first.dir}/.sluice`, `${second.dir}/.sluice`, { recursive: true })
    // The source is the folder beside the files, so each clone reads its own.
    expect((await second.run('people')).view).toMatchObject(added(0))
    expect(api.requests).toHaveLength(300)
  })

  it('without a terminal says what it sends, and goes on', async () => {
    await using folder = await clone()
    const { exitCode, stderr } = await folder.sluice('run', 'people')
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('nothing ran in this folder so far')])
    expect(stderr).toContain('--first-run skip-existing')
    expect(api.requests).toHaveLength(300)
  })

  it('with `firstRun: ask` sends nothing before somebody has said how to begin', async () => {
    await using folder = await clone('firstRun: ask')
    const failed = await folder.run('people')
    expect([failed.exitCode, failed.view.status]).toEqual([2, 'failed'])
    expect(failed.view.error).toContain('300 rows would be sent as added, and nothing was sent')
    expect(failed.view.error).toContain('`sluice run people --first-run skip-existing`')
    expect((await folder.run('people')).view.status).toBe('failed')
    expect(api.requests).toEqual([])
    const { exitCode } = await folder.sluice('run', 'people', '--first-run', 'backfill')
    expect([exitCode, api.requests.length]).toEqual([0, 300])
    expect((await folder.run('people')).view).toMatchObject(added(0))
  })
})

it('a run that forgets the environment asks, and names those that ran here', async () => {
  await using folder = await clone('', false)
  await folder.write('sluice.prod.yaml', 'kind: environment\nvariables: {}\n')
  expect((await folder.sluice('--env', 'prod', 'run', 'people')).exitCode).toBe(0)
  const { stdout, stderr } = await typed(folder, 'n\n', 'run', 'people')
  expect(stderr).toContain(
    'nothing ran without `--env` so far, but with `--env prod`, and each environment has',
  )
  expect(stderr).toContain(ASKED)
  expect([stdout, api.requests.length]).toEqual(['Nothing was sent.\n', 300])
})

it('a project that was just begun asks nobody', async () => {
  await using folder = await clone('', false)
  const { exitCode, stderr } = await typed(folder, '', 'run', 'people')
  expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining(ASKED)])
  expect(api.requests).toHaveLength(300)
})
