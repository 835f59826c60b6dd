/**
 * Processes carry out a person's decision, and are killed or told to end meanwhile. The API judges: what was
 * decided once is sent once, and the rest of it is carried out by whichever run comes next.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { manyPeople, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'

const UNDECIDED = 60
const CONCURRENCY = 2

interface World extends AsyncDisposable {
  readonly api: ScriptedApi
  readonly project: ProjectFolder
  /** Counts the requests of each path, from a number of requests on. */
  sentSince(requests: number): ReadonlyMap<string, number>
}

async function worldOf(
  people: number,
  of: { readonly sync: string; readonly rate: number; readonly concurrency: number },
): Promise<World> {
  const api = await startScriptedApi()
  const { rate, concurrency } = of
  const files = {
    'project.yaml': peopleYaml({
      destination: `breaker: false\nlimits: { rate: { requests: ${rate}, per: second }, concurrency: ${concurrency} }`,
      // Short, since a run after a kill waits for it, and 2 s more (PROTOCOL.md §8).
      sync: `timeout: 2s\n${of.sync}`,
    }),
    'people.csv': manyPeople(people),
  }
  const project = await projectFolder({ files, env: { API_URL: api.url, SLUICE_PORT: '0' } })
  return {
    ...{ api, project },
    sentSince: requests => {
      const sent = new Map<string, number>()
      for (const { url } of api.requests.slice(requests)) sent.set(url, (sent.get(url) ?? 0) + 1)
      return sent
    },
    async [Symbol.asyncDispose]() {
      await project[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
    },
  }
}

async function killed(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const closed = once(child, 'close')
  child.kill(signal)
  await closed
}

/** Says that this process serves the folder. */
async function up(project: ProjectFolder): Promise<ChildProcess> {
  const server = project.start('up', '--json')
  if (server.stdout !== null) await once(server.stdout, 'data')
  return server
}

/** All rows in doubt: the API fails each request, and may have applied it. */
async function undecided({ api, project }: World): Promise<number> {
  api.on({}, { status: 500 })
  expect((await project.run(SYNC)).view.triggers.added).toMatchObject({ unknown: UNDECIDED })
  return api.requests.length
}

describe('rows in doubt, with at-most-once', { timeout: 120_000 }, () => {
  const AT_MOST_ONCE = { sync: 'delivery: at-most-once', rate: 40, concurrency: CONCURRENCY }

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'are sent once after one retry, whose process gets %s in the midst of it',
    async signal => {
      await using world = await worldOf(UNDECIDED, AT_MOST_ONCE)
      const { api, project, sentSince } = world
      const before = await undecided(world)
      const server = await up(project)
      const retry = finished(project.start('retry', SYNC, '--json'))
      await api.waitFor(before + 20)
      await killed(server, signal)
      await retry
      for (let run = 1; run <= 3; run += 1) await project.run(SYNC)
      const sent = sentSince(before)
      expect([...sent].filter(([, times]) => times > 1)).toEqual([])
      expect(sent.size).toBeGreaterThanOrEqual(UNDECIDED - 2 * CONCURRENCY)
      // Each is in doubt, and waits for another decision.
      expect(await project.failed(SYNC)).toHaveLength(UNDECIDED)
      const asked = api.requests.length
      await project.sluice('retry', SYNC)
      expect(sentSince(asked).size).toBe(UNDECIDED)
    },
  )

  it('that come to be in doubt after somebody asked for a retry or a discard are not meant by it', async () => {
    await using world = await worldOf(UNDECIDED, { ...AT_MOST_ONCE, rate: 1_000 })
    const { api, project, sentSince } = world
    const release = stalling(api, 10, { status: 500 })
    const first = finished(project.start('run', SYNC, '--json'))
    await api.waitFor(10)
    // The person has seen no more than ten rows.
    const retry = finished(project.start('retry', SYNC, '--json'))
    await queued(project)
    release()
    await Promise.all([first, retry])
    expect([...sentSince(0)].filter(([, times]) => times > 1)).toEqual([])
    expect(await project.failed(SYNC)).toHaveLength(UNDECIDED)
  })
})

describe('a resync', { timeout: 180_000 }, () => {
  it('goes on where it was killed, and repeats at most twice the concurrency', async () => {
    await using world = await worldOf(300, { sync: '', rate: 100, concurrency: 1 })
    const { api, project, sentSince } = world
    await project.run(SYNC)
    const before = api.requests.length
    const resync = project.start('resync', SYNC, '--json')
    await api.waitFor(before + 200)
    await killed(resync, 'SIGKILL')
    expect(await project.run(SYNC)).toMatchObject({ exitCode: 0, view: { status: 'success' } })
    const sent = sentSince(before)
    expect(sent.size).toBe(300)
    expect(api.requests.length - before - 300).toBeLessThanOrEqual(2)
  })

  it('ends though each of its processes is told to end before it can', async () => {
    await using world = await worldOf(100, { sync: '', rate: 20, concurrency: 1 })
    const { api, project, sentSince } = world
    await project.run(SYNC)
    const before = api.requests.length
    await project.write('project.yaml', (await project.read('project.yaml')).replace('timeout: 2s', ''))
    for (let part = 1; part <= 4; part += 1) {
      const server = await up(project)
      const asked = part === 1 ? finished(project.start('resync', SYNC, '--json')) : null
      await api.waitFor(before + 22 * part)
      await killed(server, 'SIGTERM')
      await asked
    }
    expect(await project.run(SYNC)).toMatchObject({ exitCode: 0, view: { status: 'success' } })
    expect(sentSince(before).size).toBe(100)
    expect(api.requests.length - before - 100).toBeLessThanOrEqual(4 * 2)
  })
})

describe('after a process was killed at work, while something else was queued', { timeout: 180_000 }, () => {
  it.each([
    ['retry', ['retry', SYNC, '--key', '1']],
    ['replay', ['replay', SYNC, '--key', '2', '--yes']],
  ] as const)('`sluice run` gets on behind a %s, though it is killed once more', async (_, decision) => {
    await using world = await worldOf(60, { sync: '', rate: 30, concurrency: CONCURRENCY })
    const { api, project } = world
    api.on({ url: '/people/1' }, { status: 422 }, { times: 1 })
    await project.run(SYNC)
    const newer = manyPeople(60).replaceAll('name ', 'newer ').replace('id,newer', 'id,name')
    await project.write('people.csv', newer.replace('newer 1\n', 'name 1\n'))
    const before = api.requests.length
    const release = stalling(api, before + 10)
    const first = project.start('run', SYNC, '--json')
    await api.waitFor(before + 10)
    const second = finished(project.start(...decision, '--json'))
    await queued(project)
    await killed(first, 'SIGKILL')
    release()
    await second
    const third = project.start('run', SYNC, '--json')
    await api.waitFor(before + 20)
    await killed(third, 'SIGKILL')
    const { exitCode, view } = await project.run(SYNC)
    expect({ exitCode, status: view.status, error: view.error }).toEqual({
      ...{ exitCode: 0, status: 'success', error: null },
    })
    expect((await project.runs()).filter(({ endedAt }) => endedAt === null)).toEqual([])
    const last = new Map(api.requests.map(({ url, body }) => [url, body]))
    const arrived = [...last].filter(([, body]) => body.includes('newer'))
    expect(arrived).toHaveLength(59)
    const again: RunView = (await project.run(SYNC)).view
    expect(again).toMatchObject({ status: 'success', triggers: { changed: { detected: 0 } } })
  })
})

/** From a number of requests on, the API answers no request until it is released. */
function stalling(api: ScriptedApi, from: number, answer: { readonly status?: number } = {}): () => void {
  const gate = Promise.withResolvers<void>()
  api.on({}, async () => {
    if (api.requests.length > from) await gate.promise
    return answer
  })
  return () => gate.resolve()
}

/** Resolves once a run is queued behind the one at work. */
async function queued(project: ProjectFolder): Promise<void> {
  for (let looks = 0; looks < 20; looks += 1)
    if ((await project.runs()).some(({ status }) => status === 'queued')) return
  throw new Error(`nothing is queued: ${JSON.stringify(await project.runs())}`)
}
