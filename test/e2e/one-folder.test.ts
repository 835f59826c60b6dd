/**
 * Several commands in one folder. The first one that runs something works in it, and the others go through it.
 */
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChildProcess } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { peopleCsv, peopleYaml } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const OTHERS = `
---
kind: sync
name: others
model: people
destination: api
triggers: { added: { method: POST, path: '/others/{{ id }}' } }
`

let api: ScriptedApi
let project: ProjectFolder
let release = (): void => undefined

beforeEach(async () => {
  api = await startScriptedApi()
  const files = { 'project.yaml': peopleYaml() + OTHERS, 'people.csv': peopleCsv('1,Ann', '2,Bob') }
  project = await projectFolder({ files, env: { API_URL: api.url }, here: true })
})
afterEach(async () => {
  release()
  await project[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

/** Requests whose path has this text wait until `release`. */
function holdRequests(url: string): void {
  const gate = new Promise<void>(resolve => (release = resolve))
  api.on({ url }, () => gate.then(() => ({})))
}

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function ending(child: ChildProcess): Promise<Ended> {
  let out = ''
  let err = ''
  child.stdout?.on('data', (part: Buffer) => (out += part.toString()))
  child.stderr?.on('data', (part: Buffer) => (err += part.toString()))
  return once(child, 'close').then(([code]: unknown[]) => ({
    code: typeof code === 'number' ? code : null,
    out,
    err,
  }))
}

const socket = (): string => join(project.dir, '.sluice/api.sock')

/** Resolves once `count` requests have arrived. */
async function arrived(count: number): Promise<void> {
  await api.waitFor(count)
}

describe('while a run is at work', () => {
  let working: Promise<Ended>
  beforeEach(async () => {
    holdRequests('/people')
    working = ending(project.start('run', 'people', '--json'))
    await arrived(1)
  })

  it('other commands look back, preview and run another sync, and only the user may open the socket', async () => {
    expect((await stat(socket())).mode & 0o777).toBe(0o600)
    const [run] = await project.runs()
    expect(run).toMatchObject({ sync: 'people', status: 'running' })
    expect(run?.notices).toBeUndefined()
    expect(await project.attempts()).toEqual([])
    expect(await project.failed('people')).toEqual([])
    const preview = await project.sluice('preview', 'others', '--json')
    expect(JSON.parse(preview.stdout)).toMatchObject({ counts: { added: 2, changed: 0, removed: 0 } })
    const others = await project.run('others')
    expect(others).toMatchObject({ exitCode: 0, view: { sync: 'others', status: 'success' } })
    expect(await project.error('runs', 'nothing')).toMatchObject({ code: 'not-found', exitCode: 2 })

    release()
    expect(await working).toMatchObject({ code: 0, err: expect.any(String) })
    expect(existsSync(socket())).toBe(false)
    expect((await project.runs()).map(({ sync, status }) => `${sync} ${status}`).sort()).toEqual([
      'others success',
      'people success',
    ])
  })

  it('a second run of its sync is refused, or waits for it', async () => {
    const refused = await project.error('run', 'people')
    expect(refused).toMatchObject({ exitCode: 1, code: 'conflict' })
    expect(refused.message).toMatch(/^Run \w+ of `people` is running: `sluice run people --wait` waits/)
    const waiting = ending(project.start('run', 'people', '--wait', '--json'))
    for (let queued = false; !queued;)
      queued = (await project.runs()).some(({ status }) => status === 'queued')
    release()
    const second: RunView = JSON.parse((await waiting).out)
    expect([second.status, second.triggers.added?.detected]).toEqual(['success', 0])
    expect((await working).code).toBe(0)
  })

  it('another command cancels it', async () => {
    const [run] = await project.runs()
    const process = project.start('cancel', run?.id ?? '', '--json')
    const cancelling = ending(process)
    // It prints a line once the server has taken the command.
    if (process.stderr !== null) await once(process.stderr, 'data')
    release()
    const view: RunView = JSON.parse((await cancelling).out)
    expect([view.status, view.triggers.added?.detected]).toEqual(['cancelled', 2])
    expect([(await cancelling).code, (await working).code]).toEqual([0, 1])
  })

  it('an edit counts for a run that another command asks for', async () => {
    await project.write('project.yaml', peopleYaml() + OTHERS.replace('/others/', '/newcomers/'))
    expect((await project.run('others')).exitCode).toBe(0)
    expect(api.requests.filter(({ url }) => url.startsWith('/newcomers/'))).toHaveLength(2)
    await project.write('project.yaml', `${peopleYaml()}${OTHERS}  nonsense: 1\n`)
    expect(await project.error('run', 'others')).toMatchObject({ exitCode: 2, code: 'config' })
  })
})

it('a process waits for the runs that others have asked it for', async () => {
  holdRequests('/')
  const first = ending(project.start('run', 'people', '--json'))
  await arrived(1)
  const second = ending(project.start('run', 'others', '--json'))
  await api.waitFor(requests => requests.some(({ url }) => url.startsWith('/others')))
  api.on({ url: '/people' }, {})
  release()
  const [own, asked] = await Promise.all([first, second])
  expect([own.code, asked.code]).toEqual([0, 0])
  expect(JSON.parse(asked.out)).toMatchObject({ status: 'success' })
})

it('a command whose server is killed says so with 5, and nothing is half done', async () => {
  holdRequests('/')
  const first = project.start('run', 'people', '--json')
  const killed = ending(first)
  await arrived(1)
  const second = ending(project.start('run', 'others', '--json'))
  await api.waitFor(requests => requests.some(({ url }) => url.startsWith('/others')))
  // The launcher has become the process itself.
  first.kill('SIGKILL')
  await killed
  const { code, out } = await second
  expect(code).toBe(5)
  expect(JSON.parse(out)).toMatchObject({ error: { code: 'unreachable' } })
  expect(out).toContain('sluice runs')
  release()

  expect(existsSync(socket())).toBe(true)
  expect((await project.runs()).map(({ status }) => status)).toEqual(['running', 'running'])
  for (const sync of ['people', 'others']) expect((await project.run(sync)).exitCode).toBe(0)
  expect((await project.runs()).filter(({ status }) => status === 'success').length).toBeGreaterThanOrEqual(2)
  for (const sync of ['people', 'others']) {
    const preview = await project.sluice('preview', sync, '--json')
    expect(JSON.parse(preview.stdout)).toMatchObject({ counts: { added: 0, changed: 0, removed: 0 } })
  }
})

it('commands that only look do not keep each other away', async () => {
  await project.run('people')
  writeFileSync(socket(), 'what a process that was killed may have left')
  const looks = Array.from({ length: 4 }, () => ending(project.start('runs', '--json')))
  expect((await Promise.all(looks)).map(({ code, err }) => [code, err])).toEqual(looks.map(() => [0, '']))
})

it('several syncs run one after the other, and the exit code is that of the worst', async () => {
  api.on({ url: '/others/2' }, { status: 422 })
  const all = await project.sluice('run', '--all', '--json')
  const views: RunView[] = JSON.parse(all.stdout)
  expect(views.map(({ sync, status }) => [sync, status])).toEqual([
    ['others', 'warning'],
    ['people', 'success'],
  ])
  expect(all.exitCode).toBe(3)
  const before = (await project.runs()).length
  const unknown = await project.error('run', 'people', 'otters')
  expect(unknown).toMatchObject({ exitCode: 2, message: expect.stringContaining('did you mean `others`?') })
  expect(await project.runs()).toHaveLength(before)
})
