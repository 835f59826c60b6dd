/**
 * Requests and answers as sent and received, the newest first. They are read backwards from the topics
 * `attempts` and `requests`.
 */
import type { AttemptView } from '@sluice/contracts/api'
import type { Attempt } from '@sluice/contracts/records'
import { keysOf } from '@sluice/history/attempt-rows'
import { readRequests, type HeldRequest, type TopicsDeps } from '@sluice/history/read-records'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { isIntent } from '@sluice/domain/answers/intent'
import { decodeEach } from '@sluice/topics/owned-reader'
import { at, homePartition, SHARED_PARTITIONS, syncTopics } from '@sluice/topics/topics'
import type { LogRecord } from '@sluice/message-log/port'
import { matches, matchesRequest, type AttemptsFilter } from './attempt-filter.ts'
import { attemptView, detailsOf, NO_DETAILS } from './attempt-views.ts'
import { formatCursor, parseCursor } from './cursor.ts'
import { readTestsBackwards, testView, type TestsOf } from './test-attempts.ts'

/** Records are decoded, and their requests read, so many at a time. */
const MAX_AT_ONCE = 500
/** How long a page looks for attempts that match. Then it ends, and the next one goes on there. */
const MAX_MS = 2_000

export interface AttemptSync {
  readonly sync: string
  readonly incarnation: string
  readonly partitions: number
}

/** An attempt, and where it stands. */
interface Found {
  readonly view: AttemptView
  /** The sort key: ms since 1970. */
  readonly sortedAs: number
  readonly place: string
  readonly offset: number
}

/** The attempts that were found in a partition, and how far it was read. */
interface Read {
  readonly found: readonly Found[]
  /** The lowest offset that was looked at; null where the page was full before. */
  readonly lookedTo: number | null
  /**
   * When the oldest attempt started that was looked at, if there was no time for older ones (ms since 1970).
   */
  readonly cutAt: number | null
}

/**
 * `after` is the `next` of the page before. It says, as text, from where each partition is read on. A page
 * may have fewer attempts than the limit, or none, and a `next`: then it has looked for long enough.
 */
export async function readAttempts(
  deps: TopicsDeps,
  query: {
    readonly syncs: readonly AttemptSync[]
    readonly filter: AttemptsFilter
    /** The tests that are shown among the attempts; null for none. */
    readonly tests: TestsOf | null
    readonly limit: number
    readonly after: string | null
    /** False to leave out headers and bodies. */
    readonly details: boolean
    /** Default: two seconds. */
    readonly longestMs?: number
  },
  signal: AbortSignal,
): Promise<{ readonly attempts: AttemptView[]; readonly next: string | null }> {
  const endsAtMs = elapsedMs() + (query.longestMs ?? MAX_MS)
  const cursor = new Map(query.after === null ? [] : parseCursor(query.after, areCursorEntries))
  const found: Found[] = []
  const lookedTo = new Map<string, number>()
  let cutAt = -Infinity
  for (const sync of query.syncs) {
    for (let partition = 0; partition < sync.partitions; partition += 1) {
      const place = `${sync.sync}/${partition}`
      const before = cursor.get(place)
      const reader = new PartitionAttempts(deps, sync, partition)
      const read = await reader.read({ ...query, before, place, endsAtMs }, signal)
      found.push(...inTopicOrder(read.found))
      if (read.lookedTo !== null) lookedTo.set(place, read.lookedTo)
      cutAt = Math.max(cutAt, read.cutAt ?? -Infinity)
    }
  }
  found.push(...(await findTests(deps, { ...query, cursor }, signal)))
  found.sort(newestFirst)
  // Attempts older than the place where the search was cut wait for the page that comes there.
  const page = found.filter(({ sortedAs }) => sortedAs >= cutAt).slice(0, query.limit)
  const left = new Set(found.slice(page.length).map(({ place }) => place))
  for (const [place, offset] of lookedTo) if (!left.has(place)) cursor.set(place, offset)
  for (const { place, offset } of page) cursor.set(place, Math.min(cursor.get(place) ?? offset, offset))
  const next = found.length > page.length || cutAt > -Infinity ? formatCursor([...cursor]) : null
  return { attempts: page.map(({ view }) => view), next }
}

/** The newest tests below the cursor, of each partition one more than the limit. */
export async function findTests(
  deps: TopicsDeps,
  query: {
    readonly tests: TestsOf | null
    readonly limit: number
    readonly details: boolean
    readonly cursor: ReadonlyMap<string, number>
  },
  signal: AbortSignal,
): Promise<readonly Found[]> {
  const { tests, cursor } = query
  const found: Found[] = []
  if (tests === null) return found
  for (const partition of testPartitions(tests)) {
    const place = `tests/${partition}`
    const of = { ...query, ...tests, partition, before: cursor.get(place), place }
    found.push(...inTopicOrder(await readTests(deps, of, signal)))
  }
  return found
}

/** The tests of a sync stand in one partition. */
function testPartitions({ sync }: TestsOf): readonly number[] {
  return sync === null
    ? Array.from({ length: SHARED_PARTITIONS }, (_, index) => index)
    : [homePartition(sync)]
}

/** One more than the limit, as of a sync. */
async function readTests(
  deps: TopicsDeps,
  of: TestsOf & {
    readonly partition: number
    readonly limit: number
    readonly before: number | undefined
    readonly place: string
    readonly details: boolean
  },
  signal: AbortSignal,
): Promise<Found[]> {
  const found: Found[] = []
  for await (const { attempt, offset } of readTestsBackwards(deps, of, signal)) {
    const view = testView(attempt, of)
    found.push({ view, sortedAs: attempt.startedAt, place: of.place, offset })
    if (found.length > of.limit) break
  }
  return found
}

/**
 * Sorts in the order of the topic, which the cursor counts on: no attempt counts as newer than one that
 * stands after it. The start times alone would break that order. Delivery writes an attempt when it ends, so
 * one that started later may stand before one that started earlier.
 */
function inTopicOrder(backwards: readonly Found[]): Found[] {
  let sortedAs = Infinity
  return backwards.map(one => {
    sortedAs = Math.min(sortedAs, one.sortedAs)
    return { ...one, sortedAs }
  })
}

function newestFirst(a: Found, b: Found): number {
  if (a.sortedAs !== b.sortedAs) return b.sortedAs - a.sortedAs
  if (a.place !== b.place) return a.place < b.place ? -1 : 1
  return b.offset - a.offset
}

interface PartitionQuery {
  readonly filter: AttemptsFilter
  readonly limit: number
  readonly before: number | undefined
  readonly place: string
  readonly details: boolean
  /** ms, as `elapsedMs` has them. */
  readonly endsAtMs: number
}

class PartitionAttempts {
  readonly #deps: TopicsDeps
  readonly #sync: AttemptSync
  readonly #partition: number

  constructor(deps: TopicsDeps, sync: AttemptSync, partition: number) {
    this.#deps = deps
    this.#sync = sync
    this.#partition = partition
  }

  /** Gives at most one attempt more than the limit, so that the caller can tell whether there are more. */
  async read(query: PartitionQuery, signal: AbortSignal): Promise<Read> {
    const { log, prefix } = this.#deps
    const { limit, before, endsAtMs } = query
    const target = at(syncTopics(prefix, this.#sync.sync).attempts, this.#partition)
    const found: Found[] = []
    let lookedTo: number | null = null
    let oldest = Infinity
    const backwards = log.readBackwards(target, { signal, ...(before === undefined ? {} : { before }) })
    for await (const records of inChunks(backwards, Math.min(limit + 1, MAX_AT_ONCE))) {
      const { chunk, isOver, startedAt } = await this.#matching(records, query, signal)
      found.push(...chunk)
      oldest = Math.min(oldest, startedAt)
      lookedTo = records.at(-1)?.offset ?? lookedTo
      if (found.length > limit) return { found: found.slice(0, limit + 1), lookedTo: null, cutAt: null }
      if (isOver) break
      // Without an attempt there is no time to compare others with.
      if (elapsedMs() > endsAtMs && oldest < Infinity) return { found, lookedTo, cutAt: oldest }
    }
    return { found, lookedTo, cutAt: null }
  }

  /**
   * The attempts among records that follow each other backwards. It is over before those of an earlier run.
   */
  async #matching(
    records: readonly LogRecord[],
    { filter, place, details }: PartitionQuery,
    signal: AbortSignal,
  ): Promise<{ readonly chunk: readonly Found[]; readonly isOver: boolean; readonly startedAt: number }> {
    const { incarnation, sync } = this.#sync
    const partition = this.#partition
    const attempts: { readonly attempt: Attempt; readonly offset: number }[] = []
    let isOver = false
    let startedAt = Infinity
    // A record that cannot be decoded is not an attempt of Sluice.
    for (const { record, offset } of await decodeEach(this.#deps.io, records, signal)) {
      if (record?.name !== 'sluice.Attempt') continue
      const attempt = record.value
      if (attempt.incarnation !== incarnation || isIntent(attempt)) continue
      startedAt = Math.min(startedAt, attempt.startedAt)
      isOver = filter.run !== null && attempt.run < filter.run.number
      if (isOver) break
      if (matches(filter, attempt)) attempts.push({ attempt, offset })
    }
    const offsets = attempts.map(({ attempt }) => attempt.requestOffset)
    const of = { sync, incarnation, partition, offsets, pick: ({ value }: HeldRequest) => value }
    const requests = await readRequests(this.#deps, of, signal)
    const chunk = attempts.flatMap(({ attempt, offset }) => {
      const request = requests.get(attempt.requestOffset) ?? null
      const keys = keysOf(attempt, request?.rows ?? [])
      const all = detailsOf(attempt, request)
      if (!matchesRequest(filter, { attempt, requestBody: all.requestBody, keys })) return []
      const view = attemptView(attempt, { sync, partition, keys, details: details ? all : NO_DETAILS })
      return [{ view, sortedAs: attempt.startedAt, place, offset }]
    })
    return { chunk, isOver, startedAt }
  }
}

async function* inChunks<T>(all: AsyncIterable<T>, size: number): AsyncGenerator<readonly T[]> {
  let chunk: T[] = []
  for await (const one of all) {
    chunk.push(one)
    if (chunk.length < size) continue
    yield chunk
    chunk = []
  }
  if (chunk.length > 0) yield chunk
}

export function areCursorEntries(value: unknown): value is [string, number][] {
  return Array.isArray(value) && value.every(isCursorEntry)
}

function isCursorEntry(entry: unknown): entry is [string, number] {
  return Array.isArray(entry) && typeof entry[0] === 'string' && Number.isSafeInteger(entry[1])
}
