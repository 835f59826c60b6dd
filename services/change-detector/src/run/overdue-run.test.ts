/** A run that is overdue, or cancelled, and of which nothing goes on, ends by itself (PROTOCOL.md §11). */
import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { createLocalLocks } from '@sluice/partition/adapters/local'
import type { Locks } from '@sluice/partition/port'
import { interruptedRun } from '@sluice/runs/machine/find-runs'
import { IDLE } from '@sluice/testkit/sample-lives'
import { INCARNATION, sampleDefinition, sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { at, homePartition, runKey, sharedTopics, syncTopics, textKey } from '@sluice/topics/topics'
import type { OwnedSync } from '../sync/owned-sync.ts'
import { awaitReports } from './await-reports.ts'

const never = new AbortController().signal
const topics = syncTopics(PREFIX, SYNC)

/**
 * The first report that the detector writes of the run. Whenever it looks, `looks` is told how often it has.
 */
async function reportedOf(
  world: TestLog,
  of: {
    readonly lasts: number
    readonly cancelling?: boolean
    readonly isHeld?: boolean
    /** The server of the locks does not answer at first. */
    readonly isAway?: boolean
    readonly looks?: (count: number) => void
    /** Waited for before it looks how far topics are. */
    readonly before?: () => Promise<void>
  },
) {
  const {
    lasts,
    cancelling = false,
    isHeld = false,
    isAway = false,
    looks = () => undefined,
    before = () => Promise.resolve(),
  } = of
  const definition = await world.definitions.put(sampleDefinition({ sync: { maxDuration: '1h' } }), {
    signal: never,
  })
  const event = sampleEvent({ definition, startedAt: 0, cancelling, partitions: 1, complete: true })
  await world.append(at(sharedTopics(PREFIX).runs, homePartition(SYNC)), [
    { key: runKey(SYNC, event.runId), value: world.io.encode('RunEvent', event) },
  ])
  const locks = createLocalLocks()
  let isAwayStill = isAway
  const acquire: Locks['acquire'] = (...asked) => {
    if (!isAwayStill) return locks.acquire(...asked)
    isAwayStill = false
    return Promise.reject(new SluiceError('unreachable', 'Redis does not answer', { retryable: true }))
  }
  await using _held = isHeld
    ? await locks.acquire(`attempts/${SYNC}/${INCARNATION}/0`, { signal: never })
    : { [Symbol.asyncDispose]: () => Promise.resolve() }
  const offsets: TestLog['log']['offsets'] = async (...asked) => {
    await before()
    return world.log.offsets(...asked)
  }
  const append: TestLog['log']['append'] = (...records) => world.log.append(...records)
  const log = { offsets, append }
  const drain = new AbortController()
  let count = 0
  const now = (): number => {
    looks((count += 1))
    return lasts
  }
  const owned = {
    ...{ sync: SYNC, ends: { drain: drain.signal, abort: never } },
    deps: { ...world, log, locks: { acquire }, now, overdueLookMs: 1 },
    ownership: { partitions: 1, incarnation: INCARNATION, topics },
    life: { ...IDLE, atWork: { ...interruptedRun(event), phase: 'delivering' } },
    step: () => Promise.reject(new Error('reported')),
  } as unknown as OwnedSync
  const report = () => world.runs.of(SYNC)?.reports.get(0)
  const waiting = awaitReports(owned).catch((error: unknown) => error)
  const isOver = (): boolean => report() !== undefined || count >= 20
  await Promise.race([world.runs.until(isOver, { signal: never }), waiting])
  drain.abort(new Error('drained'))
  await waiting
  return report()
}

const HOUR = 3_600_000

it('is ended by the detector where no delivery is at work', async () => {
  await using world = await openTestLog({ partitions: 1 })
  expect(await reportedOf(world, { lasts: HOUR })).toMatchObject({
    ...{ ended: true, faultedFrom: 0, errorCode: 'too-long' },
    error: expect.stringContaining('longer than its maxDuration') as string,
  })
})

it('is ended by delivery, which the detector asks, where one is at work', async () => {
  await using world = await openTestLog({ partitions: 1 })
  expect(await reportedOf(world, { lasts: HOUR, isHeld: true })).toMatchObject({
    ended: false,
    faultedFrom: 0,
  })
})

it('is ended once the server of the locks answers again', async () => {
  await using world = await openTestLog({ partitions: 1 })
  expect(await reportedOf(world, { lasts: HOUR, isAway: true })).toMatchObject({ ended: true })
})

it('is ended if somebody cancelled it, too', async () => {
  await using world = await openTestLog({ partitions: 1 })
  expect(await reportedOf(world, { lasts: 5, cancelling: true })).toMatchObject({
    error: expect.stringContaining('the run was cancelled') as string,
  })
})

it.each(['requests', 'attempts'] as const)('goes on while %s are written', async topic => {
  await using world = await openTestLog({ partitions: 1 })
  const one = [{ key: textKey('1'), value: new Uint8Array(1) }]
  const before = async (): Promise<void> => void (await world.append(at(topics[topic], 0), one))
  const looks = (count: number): void => {
    if (count >= 20) world.runs.changes.notify()
  }
  expect(await reportedOf(world, { lasts: HOUR, looks, before })).toBeUndefined()
})

it('goes on before it is overdue', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const looks = (count: number): void => {
    if (count >= 20) world.runs.changes.notify()
  }
  expect(await reportedOf(world, { lasts: HOUR - 1, looks })).toBeUndefined()
})
