/** The index and the topics give the same answers to all questions. */
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { AttemptsPage } from '@sluice/contracts/api'
import { createSqliteIndex } from '@sluice/history/adapters/sqlite'
import { TopicsFollower } from '@sluice/history/follow-topics'
import type { HistoryIndex, HistoryReader, RunPlace } from '@sluice/history/port'
import { TopicsReader } from '@sluice/history/topics-reader'
import { randomFrom, type Random } from '@sluice/testkit/random'
import {
  INCARNATION,
  sampleAttempt,
  sampleEvent,
  sampleRequest,
  sampleRow,
  SYNC,
} from '@sluice/testkit/sample-records'
import { seedOf } from '@sluice/testkit/seeded-random'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import { at, homePartition, runKey, sharedTopics, syncTopics, textKey } from '@sluice/topics/topics'
import type { AttemptsQuery } from '../port.ts'
import { filterOf, searchAttempts } from './search-attempts.ts'

const { signal } = new AbortController()
const PARTITIONS = 2
const ATTEMPTS = 120
const SEARCHES = 40
const ALL = { limit: 7, after: undefined }

let world: TestLog
let index: HistoryIndex
beforeEach(async () => {
  world = await openTestLog({ partitions: PARTITIONS })
  index = createSqliteIndex({ file: join(world.folder, 'history.db'), maxBytes: 1e9, keepsBodies: true })
})
afterEach(async () => {
  await index[Symbol.asyncDispose]()
  await world[Symbol.asyncDispose]()
})

it('finds the same attempts as a look at every record, page by page', async () => {
  const seed = seedOf()
  const random = randomFrom(seed)
  for (let n = 0; n < ATTEMPTS; n += 1) await send(n, random)
  const target = at(sharedTopics(world.prefix).runs, homePartition(SYNC))
  const event = world.io.encode('RunEvent', sampleEvent({ status: 'success' }))
  await world.append(target, [{ key: runKey(SYNC, 'RUN1'), value: event }])
  const onTransientFailure = (error: unknown): void => expect.fail(String(error))
  await using follower = TopicsFollower.start({ ...world, index, days: 36_500, onTransientFailure })
  await world.runs.caughtUp(target.partition, { signal })
  expect(await follower.caughtUp([SYNC], { withinMs: 15_000, signal })).toBe(true)
  for (let n = 0; n < SEARCHES; n += 1) {
    const query = randomQuery(random)
    const scanned = await every(after => search(new TopicsReader(world), query, after))
    const found = await every(after => search(index, query, after))
    expect(found, `seed ${seed}, ${JSON.stringify(query)}`).toEqual(scanned)
  }
  const readers = [index, new TopicsReader(world)]
  for (let number = 1; number <= 3; number += 1) {
    const run = { sync: SYNC, incarnation: INCARNATION, run: { id: `RUN${number}`, number } }
    const [indexed, read] = await Promise.all(readers.map(reader => figuresOf(reader, run)))
    expect(indexed, `seed ${seed}, figures`).toEqual(read)
    const request = { ...run, partition: random.below(PARTITIONS), seq: random.below(ATTEMPTS) }
    const [first, second] = await Promise.all(readers.map(reader => offsetsOf(reader, request)))
    expect(first, `seed ${seed}, ${JSON.stringify(request)}`).toEqual(second)
  }
})

async function send(n: number, random: Random): Promise<void> {
  const topics = syncTopics(world.prefix, SYNC)
  const partition = random.below(PARTITIONS)
  const rows = Array.from({ length: 1 + random.below(3) }, () => sampleRow({ key: `k${random.below(9)}` }))
  const body = random.pick([new TextEncoder().encode('{"Mail":1}'), null])
  const request = world.io.encode('Request', sampleRequest({ seq: n, rows, body }))
  const requestOffset = await world.append(at(topics.requests, partition), [
    { key: textKey(`${n}`), value: request },
  ])
  const run = 1 + Math.floor((n * 3) / ATTEMPTS)
  const attempt = sampleAttempt({
    ...{ seq: n, requestOffset, run, runId: `RUN${run}`, trigger: random.pick(['added', 'removed']) },
    ...{
      outcome: random.pick(['delivered', 'rejected', 'unknown']),
      status: random.pick([200, 422, 500, null]),
    },
    ...{
      error: random.pick([null, 'HTTP 422: no mail', 'Timed out']),
      responseBody: random.pick(['', 'a MAIL']),
    },
    incarnation: random.pick([INCARNATION, INCARNATION, INCARNATION, 'another']),
    part: random.pick([null, null, [0]]),
    startedAt: run * 1_000 + random.below(50),
  })
  const value = random.chance(0.05) ? new Uint8Array([0, 0, 0, 0, 9]) : world.io.encode('Attempt', attempt)
  await world.append(at(topics.attempts, partition), [{ key: textKey(`${n}`), value }])
}

function randomQuery(random: Random): AttemptsQuery {
  const maybe = <T>(value: T): T | undefined => (random.below(3) === 0 ? value : undefined)
  return {
    ...ALL,
    run: maybe(`RUN${1 + random.below(3)}`),
    key: maybe(`k${random.below(10)}`),
    trigger: maybe(random.pick(['added', 'removed'] as const)),
    status: maybe(random.pick(['422', '4xx', '5xx'])),
    outcome: maybe(random.pick(['delivered', 'rejected', 'unknown', 'unsent'] as const)),
    since: maybe(1_000 + random.below(2_000)),
    until: maybe(1_000 + random.below(2_500)),
    search: maybe(random.pick(['mail', 'timed', 'no such text', 'no'])),
    searchesBodies: random.chance(0.5),
  }
}

type Page = (after: string | null) => Promise<AttemptsPage>

const numbered = ({ run }: AttemptsQuery) =>
  run === undefined ? null : { id: run, number: Number(run.slice(3)) }

function search(reader: HistoryReader, query: AttemptsQuery, after: string | null): Promise<AttemptsPage> {
  const lives = [{ sync: SYNC, incarnation: INCARNATION }]
  const filter = filterOf(query, numbered(query))
  const page = { lives, filter, tests: null, limit: 7, after, details: true }
  return searchAttempts(world, reader, page, signal)
}

async function figuresOf(reader: HistoryReader, run: RunPlace): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const { second, outcome, bin, count } of await reader.counts(run, { signal })) {
    const name = `${second} ${outcome} ${bin}`
    counts.set(name, (counts.get(name) ?? 0) + count)
  }
  return counts
}

async function offsetsOf(
  reader: HistoryReader,
  request: Parameters<HistoryReader['ofRequest']>[0],
): Promise<readonly number[]> {
  return (await reader.ofRequest(request, { signal })).map(({ offset }) => offset)
}

/** All attempts of all pages, each as text. */
async function every(page: Page): Promise<readonly string[]> {
  const found: string[] = []
  for (let after: string | null = null, more = true; more; more = after !== null) {
    const { attempts, next } = await page(after)
    found.push(...attempts.map(attempt => JSON.stringify(attempt)))
    after = next
  }
  return found.toSorted()
}
