import { describe, expect, it, vi } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { Command } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { Slots } from '@sluice/flow/slots'
import { plainMarker } from '@sluice/partition/take-over'
import { endDeletion, incarnationOf, knownIncarnation } from '@sluice/resources/incarnations'
import { createLogger } from '@sluice/runtime/logger'
import { sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { watchedLog } from '@sluice/testkit/watched-log'
import { at, homePartition, markerKey, runKey, sharedTopics, syncTopics } from '@sluice/topics/topics'
import type { RunnerDeps } from './runner-deps.ts'
import { SyncRunner } from './sync-runner.ts'

const { signal } = new AbortController()
const CHANGES = at(syncTopics(PREFIX, SYNC).changes, 0)
const RUNS = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
const refused = new SluiceError('unreachable', 'no right to write changes')

it('ends a run with the reason where each takeover fails later than a minute into its work', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const { io, runs } = world
  const incarnation = await incarnationOf(world, SYNC, { signal })
  const event = sampleEvent({ runId: 'CUT', run: 1, incarnation, definition: 'd', startedAt: 1 })
  const begin = { run: 1, runId: 'CUT', definition: 'd', startedAt: 1, first: true }
  const begun = { ...plainMarker('run-begin', incarnation, -1), begin }
  await world.append(RUNS, [{ key: runKey(SYNC, 'CUT'), value: io.encode('RunEvent', event) }])
  await world.append(CHANGES, [{ key: markerKey('run-begin', '0'), value: io.encode('Marker', begun) }])
  const real = performance.now.bind(performance)
  let passedMs = 0
  let tries = 0
  using _now = vi.spyOn(performance, 'now').mockImplementation(() => real() + passedMs)
  // Nobody may complete the markers of the run that was cut.
  const log = watchedLog(world.log, async ({ topic }, records) => {
    const endsEarly = records.some(({ key }) => Buffer.from(key).equals(markerKey('run-end', '0')))
    if (topic !== CHANGES.topic || !endsEarly) return
    tries += 1
    passedMs += 61_000
    throw refused
  })
  await using runner = runnerOn(world, { log })
  runner.wake()
  const ended = runs.until(() => runs.of(SYNC)?.events.get('CUT')?.status === 'failed', { signal })
  await Promise.race([ended, runner.failed])
  expect(runs.of(SYNC)?.events.get('CUT')?.error).toBe(refused.message)
  expect(tries).toBe(2)
}, 15_000)

describe('what is asked while a run is out of the queue and has no other event, by a detector that dies then', () => {
  const noDefinition = new SluiceError('config', 'the model is gone')
  const commandOf = (of: Partial<Command>): Command => ({
    ...{ id: 'TAKEN', kind: 'run', sync: SYNC, cause: 'manual', run: null, at: 1, scope: null, ...of },
  })

  /** A detector has taken a run out of the queue, and then this command, whose offset it commits. */
  async function diesAfter(world: TestLog, command: Partial<Command>): Promise<void> {
    const taken = Promise.withResolvers<undefined>()
    const resolveDefinition = async (_: string, aborted: AbortSignal): Promise<never> => {
      taken.resolve(undefined)
      await new Promise(resolve => aborted.addEventListener('abort', resolve, { once: true }))
      throw aborted.reason
    }
    await using dies = runnerOn(world, { resolveDefinition })
    await dies.submit(commandOf({}), 0)
    await taken.promise
    await dies.submit(commandOf(command), 1)
  }

  /** The way in which each run ends with the next detector, which finds no definition. */
  async function endsOf(world: TestLog): Promise<readonly string[]> {
    await using next = runnerOn(world, { resolveDefinition: () => Promise.reject(noDefinition) })
    next.wake()
    const all = () => [...(world.runs.of(SYNC)?.events.values() ?? [])]
    const ended = world.runs.until(() => all().every(({ status }) => isEnded(status)), { signal })
    await Promise.race([ended, next.failed])
    return all().map(({ runId, status, error }) => `${runId} ${status}: ${error ?? ''}`)
  }

  it('is not lost where it is a cancel: the run never begins', async () => {
    await using world = await openTestLog({ partitions: 1 })
    await incarnationOf(world, SYNC, { signal })
    await diesAfter(world, { id: 'c', kind: 'cancel', run: 'TAKEN' })
    expect(await endsOf(world)).toEqual(['TAKEN cancelled: '])
  })

  it('leaves both in the queue where it is another run: each comes to its own end', async () => {
    await using world = await openTestLog({ partitions: 1 })
    await incarnationOf(world, SYNC, { signal })
    await diesAfter(world, { id: 'BEHIND' })
    const ends = await endsOf(world)
    expect(ends).toEqual(['TAKEN failed: the model is gone', 'BEHIND failed: the model is gone'])
  })
})

describe('a run that waits for its turn to be compared', () => {
  const asked: Command = { id: 'R', kind: 'run', sync: SYNC, cause: 'manual', run: null, at: 1, scope: null }
  const gone = new SluiceError('config', 'the model is gone')

  it('stays queued, and begins once another sync has been compared', async () => {
    await using world = await openTestLog({ partitions: 1 })
    await incarnationOf(world, SYNC, { signal })
    const { runs } = world
    const detections = new Slots({ most: 1, overdueMs: 60_000 })
    const other = await detections.take({ signal })
    const begun = Promise.withResolvers<undefined>()
    const resolveDefinition = (): Promise<never> => {
      begun.resolve(undefined)
      return Promise.reject(gone)
    }
    await using runner = runnerOn(world, { detections, resolveDefinition })
    await runner.submit(asked, 0)
    await runs.until(() => runs.of(SYNC)?.events.get('R') !== undefined, { signal })
    expect(runs.of(SYNC)?.events.get('R')).toMatchObject({ status: 'queued', startedAt: null })
    other[Symbol.dispose]()
    await Promise.race([begun.promise, runner.failed])
    await runs.until(() => runs.of(SYNC)?.events.get('R')?.status === 'failed', { signal })
    expect(detections.tryTake()).not.toBeNull()
  })

  it('never begins if it is cancelled meanwhile, and gives its place up', async () => {
    await using world = await openTestLog({ partitions: 1 })
    await incarnationOf(world, SYNC, { signal })
    const { runs } = world
    const detections = new Slots({ most: 1, overdueMs: 60_000 })
    const other = await detections.take({ signal })
    await using runner = runnerOn(world, { detections, resolveDefinition: () => Promise.reject(gone) })
    await runner.submit(asked, 0)
    await runner.submit({ ...asked, id: 'C', kind: 'cancel', run: 'R' }, 1)
    const ended = runs.until(() => isEnded(runs.of(SYNC)?.events.get('R')?.status ?? 'queued'), { signal })
    await Promise.race([ended, runner.failed])
    expect(runs.of(SYNC)?.events.get('R')).toMatchObject({ status: 'cancelled', error: null })
    other[Symbol.dispose]()
    expect(detections.tryTake()).not.toBeNull()
  })
})

it('leaves nothing of a deleted sync where a detector died before it told of the end', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const { io, log, runs } = world
  const incarnation = await incarnationOf(world, SYNC, { signal })
  const reset = sampleEvent({ runId: 'RESET', run: null, cause: 'reset', status: 'queued', incarnation })
  await world.append(RUNS, [{ key: runKey(SYNC, 'RESET'), value: io.encode('RunEvent', reset) }])
  await log.deleteTopics(Object.values(syncTopics(PREFIX, SYNC)), { signal })
  await endDeletion(world, SYNC, { signal })
  const unknown = new SluiceError('not-found', 'there is no sync s')
  await using next = runnerOn(world, { resolveDefinition: () => Promise.reject(unknown) })
  next.wake()
  const ended = runs.until(() => runs.of(SYNC)?.events.get('RESET')?.status === 'success', { signal })
  await Promise.race([ended, next.failed])
  await next.idle()
  expect(await knownIncarnation(world, SYNC, { signal })).toBeNull()
  expect(await log.partitionsOf(CHANGES.topic, { signal })).toBeNull()
})

/** A detector's runner of the sample sync. Its disposal is its death: what is under way ends at once. */
function runnerOn(world: TestLog, parts: Partial<RunnerDeps>) {
  const logger = createLogger({ name: 'test', level: 'silent' })
  const deps = {
    ...world,
    logger,
    now: () => 20,
    newRunId: () => 'NEW',
    isOneProcess: false,
    ...parts,
  }
  const failed = Promise.withResolvers<never>()
  const dead = new AbortController()
  const runner = new SyncRunner(SYNC, deps as unknown as RunnerDeps, {
    ends: { drain: dead.signal, abort: dead.signal },
    isMember: () => Promise.resolve(true),
    onFailure: failed.reject,
    onUnknown: () => undefined,
  })
  return {
    wake: () => runner.wake(),
    submit: (command: Command, offset: number) =>
      Promise.race([runner.submit(command, offset), failed.promise]),
    failed: failed.promise,
    idle: () => runner.stopped(),
    [Symbol.asyncDispose]: async (): Promise<void> => {
      dead.abort(new Error('it is killed'))
      await runner.stopped()
    },
  }
}
