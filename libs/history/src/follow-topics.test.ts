/** The index follows real topics, and finds what they hold. */
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Attempt } from '@sluice/contracts/records'
import {
  INCARNATION,
  sampleAttempt,
  sampleEntry,
  sampleEvent,
  sampleRequest,
  sampleRow,
  sampleSlice,
  SYNC,
} from '@sluice/testkit/sample-records'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import { at, homePartition, runKey, sharedTopics, sliceKey, syncTopics, textKey } from '@sluice/topics/topics'
import { createSqliteIndex } from './adapters/sqlite.ts'
import { TopicsFollower } from './follow-topics.ts'
import type { AttemptSearch, FoundAttempt, HistoryIndex } from './port.ts'

const { signal } = new AbortController()
const NEVER_MS = 3_600_000
const LIFE = { sync: SYNC, incarnation: INCARNATION }
const ANY: AttemptSearch = {
  ...{ lives: [LIFE], run: null, key: null, trigger: null, status: null, outcome: null, since: null },
  ...{ until: null, search: null, searchesBodies: false, limit: 100, before: null },
}

let world: TestLog
let index: HistoryIndex
let follower: TopicsFollower
const failures: unknown[] = []
beforeEach(async () => {
  world = await openTestLog({ partitions: 2 })
  failures.length = 0
  index = createSqliteIndex({ file: join(world.folder, 'history.db'), maxBytes: 1e9, keepsBodies: true })
  follower = start()
})
afterEach(async () => {
  await follower[Symbol.asyncDispose]()
  await index[Symbol.asyncDispose]()
  await world[Symbol.asyncDispose]()
})

function start(): TopicsFollower {
  const onTransientFailure = (error: unknown): void => void failures.push(error)
  return TopicsFollower.start({ ...world, index, days: 36_500, onTransientFailure, roundMs: NEVER_MS })
}

/** Writes a request and an attempt at it, in order. */
async function send(
  partition: number,
  key: string,
  { sent = `{"${key}":1}`, ...fields }: Partial<Attempt> & { readonly sent?: string } = {},
): Promise<void> {
  const topics = syncTopics(world.prefix, SYNC)
  const request = sampleRequest({ rows: [sampleRow({ key })], body: new TextEncoder().encode(sent) })
  const value = world.io.encode('Request', request)
  const requestOffset = await world.append(at(topics.requests, partition), [{ key: textKey(key), value }])
  const attempt = world.io.encode('Attempt', sampleAttempt({ requestOffset, ...fields }))
  await world.append(at(topics.attempts, partition), [{ key: textKey(key), value: attempt }])
}

async function append(...[fields]: Parameters<typeof sampleEvent>): Promise<void> {
  const event = sampleEvent(fields)
  const target = at(sharedTopics(world.prefix).runs, homePartition(SYNC))
  const value = world.io.encode('RunEvent', event)
  await world.append(target, [{ key: runKey(SYNC, event.runId), value }])
  await world.runs.caughtUp(target.partition, { signal })
}

async function found(search: Partial<AttemptSearch> = {}): Promise<readonly FoundAttempt[]> {
  expect(await follower.caughtUp([SYNC], { withinMs: 10_000, signal })).toBe(true)
  return (await index.search({ ...ANY, ...search }, { signal })).attempts
}

it('finds what a run has sent, while it is at work and once it has ended', async () => {
  await append({ status: 'running' })
  await send(0, 'a', { startedAt: 1 })
  expect((await found()).map(({ keys }) => keys)).toEqual([['a']])
  await send(1, 'b', { startedAt: 2 })
  await send(0, 'c', { startedAt: 3, outcome: 'rejected', status: 422, error: 'HTTP 422: no' })
  await append({ status: 'success', endedAt: 4 })
  expect((await found()).map(({ keys }) => keys)).toEqual([['c'], ['b'], ['a']])
  expect((await found({ key: 'c' })).map(({ details }) => details?.requestBody)).toEqual(['{"c":1}'])
  expect(failures).toEqual([])
})

it('goes past the ends of slices, in which no key is mentioned', async () => {
  const topics = syncTopics(world.prefix, SYNC)
  await append({ status: 'running' })
  const slice = { key: sliceKey(0), value: world.io.encode('Slice', sampleSlice()) }
  const entry = { key: textKey('a'), value: world.io.encode('RetryEntry', sampleEntry()) }
  await world.append(at(topics.changes, 0), [slice])
  await world.append(at(topics.retry, 0), [slice, entry, slice])
  await world.append(at(topics.requests, 0), [slice])
  await send(0, 'a', { startedAt: 1 })
  expect((await found()).map(({ keys, requestOffset }) => [keys, requestOffset])).toEqual([[['a'], 1]])
  const place = { ...LIFE, partition: 0 } as const
  expect([
    index.position({ ...place, topic: 'changes' }),
    index.position({ ...place, topic: 'retry' }),
  ]).toEqual([1, 3])
  const mentions = await index.mentions({ ...LIFE, key: 'a', limit: 10 }, { signal })
  expect(mentions.map(({ place: { topic }, offset }) => [topic, offset])).toEqual([['retry', 1]])
  expect(failures).toEqual([])
})

it('keeps the beginning of a long body, to a whole character, and how long it was', async () => {
  await append({ status: 'running' })
  const most = 64 * 1024
  const fits = 'x'.repeat(most)
  const long = `${'x'.repeat(most - 1)}é${'x'.repeat(most)}`
  await send(0, 'a', { startedAt: 1, sent: fits })
  await send(0, 'b', { startedAt: 2, sent: long })
  await send(0, 'c', { startedAt: 3, part: [0], partBody: fits })
  const [part, cut, whole] = (await found()).map(({ details }) => details)
  expect(whole?.requestBody).toBe(fits)
  expect(whole).not.toHaveProperty('requestBodyBytes')
  expect(cut?.requestBody).toBe('x'.repeat(most - 1))
  expect(cut?.requestBodyBytes).toBe(2 * most + 1)
  expect(part?.requestBodyBytes).toBeNull()
})
