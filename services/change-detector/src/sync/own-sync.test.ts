import type { TopicPartition } from '@sluice/message-log/port'
import { INCARNATION, sampleSlice, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX } from '@sluice/testkit/test-log'
import { outage, watchedLog } from '@sluice/testkit/watched-log'
import { at, sharedTopics, sliceKey, syncTopics } from '@sluice/topics/topics'
import { expect, it } from 'vitest'
import { ownSync, type SyncOwnership } from './own-sync.ts'

const { signal } = new AbortController()
const PARTITIONS = 3
/** In `changes`, `retry` and `captured` for each partition, and one in `runs` for the first. */
const FIRST_MARKERS = 3 + 1
const MARKERS = 3 * PARTITIONS + 1

async function openWorld(before: (target: TopicPartition) => Promise<void>) {
  const world = await openTestLog({ partitions: PARTITIONS })
  const own = (log = watchedLog(world.log, before)): Promise<SyncOwnership> =>
    ownSync({ ...world, log }, { sync: SYNC, incarnation: INCARNATION, partitions: PARTITIONS, signal })
  return { world, own }
}

it('waits twice for the log, however many partitions the sync has', async () => {
  const first = Promise.withResolvers<void>()
  const all = Promise.withResolvers<void>()
  let markers = 0
  const { world, own } = await openWorld(async () => {
    markers += 1
    const asked = markers <= FIRST_MARKERS ? first : all
    if (markers === FIRST_MARKERS || markers === MARKERS) asked.resolve()
    // The log acknowledges none before it has been asked for all.
    await asked.promise
  })
  await using _world = world
  await using ownership = await own()
  expect([ownership.partitions, markers]).toEqual([PARTITIONS, MARKERS])
})

it('asks for nothing of the other partitions before the first is its own', async () => {
  const { changes } = syncTopics(PREFIX, SYNC)
  const others: TopicPartition[] = []
  const { world, own } = await openWorld(async target => {
    const { topic, partition } = target
    if (partition > 0 && topic !== sharedTopics(PREFIX).runs) others.push(target)
    if (topic === changes && partition === 0) throw outage()
  })
  await using _world = world
  await expect(own()).rejects.toMatchObject({ code: 'unreachable' })
  expect(others).toEqual([])
})

it('owns nothing if one partition cannot be taken, and may try again', async () => {
  const { changes } = syncTopics(PREFIX, SYNC)
  const { world, own } = await openWorld(async ({ topic, partition }) => {
    if (topic === changes && partition === 1) throw outage()
  })
  await using _world = world
  await expect(own()).rejects.toMatchObject({ code: 'unreachable' })
  await using ownership = await own(world.log)
  await ownership.forgetRuns(['R1'], signal)
})

it('reads at the end of a slice that the run goes on, and how many changes it has', async () => {
  await using world = await openTestLog({ partitions: PARTITIONS })
  const { changes } = syncTopics(PREFIX, SYNC)
  const slice = sampleSlice({ run: 7, slice: 3, count: 12, input: null })
  await world.append(at(changes, 1), [{ key: sliceKey(1), value: world.io.encode('Slice', slice) }])
  await using ownership = await ownSync(world, {
    ...{ sync: SYNC, incarnation: INCARNATION, partitions: PARTITIONS, signal },
  })
  const nothing = { run: 0, ended: true, sealed: false, count: 0 }
  expect(await ownership.tails(signal)).toEqual([
    nothing,
    { run: 7, ended: false, sealed: false, count: 12 },
    nothing,
  ])
})
