/** The topic forgets runs that ended some time ago, except those that are still shown or waited for. */
import { afterEach, expect, it } from 'vitest'
import type { DetectorDeps } from '@sluice/change-detector/change-detector'
import type { SqliteLog } from '@sluice/message-log/adapters/sqlite'
import { RunsView } from '@sluice/runs/runs-view'
import { at, homePartition, keyText, runKey, sharedTopics } from '@sluice/topics/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import { OneProcess, type Services } from './one-process.ts'

const MINUTE_MS = 60_000
const { signal } = new AbortController()

let world: OneProcess
afterEach(() => world[Symbol.asyncDispose]())

it('runs go an hour after their end, except the last fifty', async () => {
  world = await OneProcess.open()
  const { log, api } = world
  const runs = at(sharedTopics(log.prefix).runs, homePartition(SYNC))
  const forgotten = async (): Promise<readonly string[]> =>
    (await log.read(runs)).filter(({ record }) => record === null).map(({ key }) => keyText(key))
  const compact = (): Promise<void> => (log.log as SqliteLog).compact(runs.topic, { signal })
  let minute = 0
  const start = (parts: Partial<DetectorDeps> = {}): Services =>
    world.start({ now: () => Date.now() + minute * MINUTE_MS, ...parts })
  const refused: string[] = []
  const gone = (count: number): readonly string[] =>
    refused.slice(0, count).map(runId => keyText(runKey(SYNC, runId)))
  /**
   * A run that lasts until this many commands were refused, because another run was already queued behind it.
   */
  const runWhileRefused = async (count: number, goOn: () => void): Promise<string> => {
    const atWork = await world.command()
    await world.until(atWork, ({ status }) => status === 'running')
    const queued = await world.command()
    for (let n = 0; n < count; n += 1) refused.push(await world.command())
    await world.ended(refused.at(-1) ?? '')
    goOn()
    await world.ended(queued)
    return atWork
  }
  let life = start()
  const answers = Promise.withResolvers<void>()
  api.gate = answers.promise
  await world.setRows([1, 2])
  const first = await runWhileRefused(53, answers.resolve)

  // Runs that find nothing to send also go.
  minute = 59
  expect(await world.run()).toMatchObject({ status: 'success', run: 3 })
  expect(await forgotten()).toEqual([])
  minute = 61
  expect(await world.run()).toMatchObject({ status: 'success', run: 4 })
  expect(await forgotten()).toEqual(gone(3))

  // Runs that fail also go.
  await life.kill()
  await compact()
  const source = Promise.withResolvers<void>()
  const openSource = async (): Promise<never> => {
    await source.promise
    throw new TypeError('a bug')
  }
  life = start({ openSource })
  const failed = await runWhileRefused(2, source.resolve)
  expect(await world.ended(failed)).toMatchObject({ status: 'failed', run: 5 })
  expect(await forgotten()).toEqual(gone(5))

  // A process that starts now knows the same runs as those that have been running all the time.
  await life.kill()
  await compact()
  await using view = await RunsView.open(log, { signal })
  await view.caughtUp(runs.partition, { signal })
  expect(view.of(SYNC)).toEqual(log.runs.of(SYNC))
  start()
  await world.setRows([2, 3])
  expect(await world.run()).toMatchObject({
    status: 'success',
    run: 7,
    counts: { removed: { delivered: 1 } },
  })
  expect(world.events().map(({ runId }) => runId)).toContain(first)
  expect([...api.ids]).toEqual([2, 3])
})
