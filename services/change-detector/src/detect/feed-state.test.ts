import { expect, it } from 'vitest'
import type { DeliveredState, FedFor, StateFeed } from '@sluice/delivered-state/port'
import type { MessageLog } from '@sluice/message-log/port'
import { at, markerKey, sliceKey, syncTopics, textKey } from '@sluice/topics/topics'
import { INCARNATION, sampleEntry, sampleSlice, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX } from '@sluice/testkit/test-log'
import { writeChanges } from '@sluice/testkit/write-changes'
import { feedState } from './feed-state.ts'

const { signal } = new AbortController()
const NOTHING_READ = {
  ...{ changes: [0], retry: [0], captured: [0], lastChange: [null] },
  ...{ fedFor: null, kept: null },
}

/** A state that has read nothing, and keeps what it is fed. */
function recordingState(): { readonly fed: readonly StateFeed[]; readonly state: DeliveredState } {
  const fed: StateFeed[] = []
  const state = {
    positions: () => Promise.resolve(NOTHING_READ),
    feed: async (stretch: StateFeed) => void fed.push(stretch),
    commit: () => Promise.resolve(),
    lastUncertain: () => Promise.resolve([]),
  } as unknown as DeliveredState
  return { fed, state }
}

it('takes changes whose fate nobody knows as unknown, from the first that is lost on, of that run and partition, unless another came after', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const { log, io } = world
  const columns = [{ name: 'id', type: { kind: 'text' } }] as const
  for (const [run, keys] of [
    [1, ['a', 'b', 'c', 'd', 'e']],
    [2, ['a', 'd']],
  ] as const) {
    const rows = keys.map(key => ({ key, row: { id: key } }))
    const begin = { run, runId: `RUN${run}`, definition: 'd', startedAt: 1, first: run === 1 }
    await writeChanges(world, { begin, columns, rows })
  }
  const { changes } = syncTopics(PREFIX, SYNC)
  await using writer = await log.openWriter('ends', { signal })
  await writer.append(at(changes, 0), [{ key: textKey('e'), value: null }], { signal })
  const { fed, state } = recordingState()
  const faults = [
    { partition: 0, run: 1, from: 1 },
    { partition: 1, run: 2, from: 0 },
  ]
  const of = { topics: syncTopics(PREFIX, SYNC), partitions: 1, incarnation: INCARNATION }
  await feedState(state, { log, io, ...of, faults, signal })
  const entries = fed.flatMap(({ lost }) => lost ?? [])
  expect(entries.map(({ key, value }) => [key, value.run, value.seq, value.outcome])).toEqual([
    ['b', 1, 1, 'unknown'],
    ['c', 1, 2, 'unknown'],
  ])
})

it('has each value from before an entry that it has, though delivery still writes both', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const { io } = world
  const { retry, captured } = syncTopics(PREFIX, SYNC)
  const owned = { incarnation: INCARNATION, owner: -1 }
  const values = io.encode('Captured', { run: 1, seq: 0, values: '{"id":42}', ...owned })
  const entry = io.encode('RetryEntry', sampleEntry({ run: 2, seq: 0, outcome: 'rejected', ...owned }))
  let isWritten = false
  // A run was ended early. While the next one looks how far the topics reach, what is left of it is written.
  const log = Object.assign(Object.create(world.log) as MessageLog, {
    offsets: async (...args: Parameters<MessageLog['offsets']>) => {
      const found = await world.log.offsets(...args)
      if (!isWritten && [retry, captured].includes(args[0].topic)) {
        isWritten = true
        await world.append(at(captured, 0), [{ key: textKey('a'), value: values }])
        await world.append(at(retry, 0), [{ key: textKey('a'), value: entry }])
      }
      return found
    },
    read: world.log.read.bind(world.log),
  })
  const { fed, state } = recordingState()
  const of = { topics: syncTopics(PREFIX, SYNC), partitions: 1, incarnation: INCARNATION, faults: [] }
  await feedState(state, { log, io, ...of, signal })
  expect(isWritten).toBe(true)
  expect(fed.flatMap(({ retry: entries }) => entries?.records ?? [])).toEqual([])
  expect(fed.flatMap(({ captured: had }) => had?.records ?? [])).toMatchObject([{ key: 'a' }])
})

it('takes the ends of slices for no rows, in each of its topics', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const { log, io } = world
  const topics = syncTopics(PREFIX, SYNC)
  const slice = { key: sliceKey(0), value: io.encode('Slice', sampleSlice()) }
  const entry = { key: textKey('a'), value: io.encode('RetryEntry', sampleEntry()) }
  await world.append(at(topics.changes, 0), [slice])
  await world.append(at(topics.retry, 0), [slice, entry, slice])
  const { fed, state } = recordingState()
  const of = { topics, partitions: 1, incarnation: INCARNATION, faults: [] }
  await feedState(state, { log, io, ...of, signal })
  expect(fed.flatMap(({ changes }) => changes?.records ?? [])).toEqual([])
  expect(fed.flatMap(({ retry }) => retry?.records ?? [])).toMatchObject([{ key: 'a' }])
})

it.each([
  ['and one run later is gone on from', { run: 8, hours: 1000, isKept: true }],
  ['and others were at work for less than a day is gone on from', { run: 30, hours: 19, isKept: true }],
  ['and others were at work for a day is made again', { run: 9, hours: 24, isKept: false }],
] as const)('a cache that was fed for run 7 %s', async (_name, { run, hours, isKept }) => {
  await using world = await openTestLog({ partitions: 1 })
  const { log, io } = world
  const committed: unknown[] = []
  let resets = 0
  const state = {
    positions: () => Promise.resolve({ ...NOTHING_READ, fedFor: { run: 7, at: 5 } }),
    reset: async () => void (resets += 1),
    commit: async (options: unknown) => void committed.push(options),
  } as unknown as DeliveredState
  const fedFor = (): FedFor => ({ run, at: 5 + hours * 3_600_000 })
  const of = { topics: syncTopics(PREFIX, SYNC), partitions: 1, incarnation: INCARNATION, faults: [] }
  await feedState(state, { log, io, ...of, fedFor, signal })
  expect(resets).toBe(isKept ? 0 : 1)
  expect(committed).toEqual([{ signal, fedFor: fedFor() }])
})

it.each([
  ['markers are fed at once', { markers: 200, rows: 0, awaits: 0 }],
  [
    'before a single row is fed, others have to be done with their memory',
    { markers: 10, rows: 1, awaits: 1 },
  ],
  ['with many records, nobody looks whether they are markers', { markers: 300, rows: 0, awaits: 1 }],
] as const)('%s', async (_name, { markers, rows, awaits }) => {
  await using world = await openTestLog({ partitions: 1 })
  const { log, io } = world
  const { retry } = syncTopics(PREFIX, SYNC)
  const marks = Array.from({ length: markers }, () => ({ key: markerKey('takeover', 'here'), value: null }))
  const ended = Array.from({ length: rows }, (_, index) => ({ key: textKey(`${index}`), value: null }))
  await world.append(at(retry, 0), [...marks, ...ended])
  const { fed, state } = recordingState()
  const fedBefore: number[] = []
  const beforeRows = async (): Promise<void> => void fedBefore.push(fed.length)
  const of = { topics: syncTopics(PREFIX, SYNC), partitions: 1, incarnation: INCARNATION, faults: [] }
  await feedState(state, { log, io, ...of, beforeRows, signal })
  expect(fedBefore).toEqual(Array(awaits).fill(0))
  expect(fed.length).toBeGreaterThan(0)
})

it('looks again whether the cache can be trusted once others are done: that may have taken a day', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const { log, io } = world
  const { retry } = syncTopics(PREFIX, SYNC)
  await world.append(at(retry, 0), [{ key: textKey('a'), value: null }])
  const { state } = recordingState()
  let resets = 0
  Object.assign(state, {
    positions: () => Promise.resolve({ ...NOTHING_READ, fedFor: { run: 7, at: 0 } }),
    reset: async () => void (resets += 1),
  })
  let hours = 19
  const fedFor = (): FedFor => ({ run: 9, at: hours * 3_600_000 })
  const beforeRows = async (): Promise<void> => void (hours = 24)
  const of = { topics: syncTopics(PREFIX, SYNC), partitions: 1, incarnation: INCARNATION, faults: [] }
  await feedState(state, { log, io, ...of, fedFor, beforeRows, signal })
  expect(resets).toBe(1)
})
