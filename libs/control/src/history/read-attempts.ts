/**
 * Requests and answers as sent and received, the newest first. They are read backwards from the topics
 * `attempts` and `requests`.
 */
import { isIntent } from '@sluice/domain/answers/intent'
import type { AttemptView } from '@sluice/contracts/api'
import { isSluiceError } from '@sluice/contracts/errors'
import type { Attempt, Request, Unrenderable } from '@sluice/contracts/records'
import { decodeEach, readOwned } from '@sluice/topics/owned-reader'
import { at, homePartition, SHARED_PARTITIONS, syncTopics } from '@sluice/topics/topics'
import { formatCursor, parseCursor } from './cursor.ts'
import type { HistoryDeps } from './history-deps.ts'
import { readTestsBackwards, testView, type TestFilter } from './test-attempts.ts'

export interface AttemptSync {
  readonly sync: string
  readonly incarnation: string
  readonly partitions: number
}

export interface AttemptsFilter {
  /** Only attempts of this run: its ULID, and its number. Reading stops at attempts of lower numbers. */
  readonly run: { readonly id: string; readonly number: number } | null
  readonly key: string | null
  readonly status: number | null
  /** ms since 1970. */
  readonly since: number | null
}

interface Found {
  readonly view: AttemptView
  /** The sort key: ms since 1970. */
  readonly sortedAs: number
  readonly place: string
  readonly offset: number
}

/** `after` is the `next` of the page before. It says, as text, from where each partition is read on. */
export async function readAttempts(
  deps: HistoryDeps,
  query: {
    readonly syncs: readonly AttemptSync[]
    readonly filter: AttemptsFilter
    /** The tests that are shown among the attempts; null for none. */
    readonly tests: TestFilter | null
    readonly limit: number
    readonly after: string | null
  },
  signal: AbortSignal,
): Promise<{ readonly attempts: AttemptView[]; readonly next: string | null }> {
  const cursor = new Map(query.after === null ? [] : parseCursor(query.after, areCursorEntries))
  const found: Found[] = []
  for (const sync of query.syncs) {
    for (let partition = 0; partition < sync.partitions; partition += 1) {
      const place = `${sync.sync}/${partition}`
      const before = cursor.get(place)
      const reader = new PartitionAttempts(deps, sync, partition)
      found.push(...inTopicOrder(await reader.read({ ...query, before, place }, signal)))
    }
  }
  if (query.tests !== null)
    for (const partition of testPartitions(query.tests)) {
      const place = `tests/${partition}`
      const of = { partition, filter: query.tests, limit: query.limit, before: cursor.get(place), place }
      found.push(...inTopicOrder(await readTests(deps, of, signal)))
    }
  found.sort(newestFirst)
  const page = found.slice(0, query.limit)
  for (const { place, offset } of page) cursor.set(place, Math.min(cursor.get(place) ?? offset, offset))
  const next = found.length > page.length ? formatCursor([...cursor]) : null
  return { attempts: page.map(({ view }) => view), next }
}

/** The tests of a sync stand in one partition. */
function testPartitions({ sync }: TestFilter): readonly number[] {
  return sync === null
    ? Array.from({ length: SHARED_PARTITIONS }, (_, index) => index)
    : [homePartition(sync)]
}

/** One more than the limit, as of a sync. */
async function readTests(
  deps: HistoryDeps,
  of: {
    readonly partition: number
    readonly filter: TestFilter
    readonly limit: number
    readonly before: number | undefined
    readonly place: string
  },
  signal: AbortSignal,
): Promise<Found[]> {
  const found: Found[] = []
  for await (const { attempt, offset } of readTestsBackwards(deps, of, signal)) {
    found.push({ view: testView(attempt), sortedAs: attempt.startedAt, place: of.place, offset })
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

class PartitionAttempts {
  readonly #deps: HistoryDeps
  readonly #sync: AttemptSync
  readonly #partition: number

  constructor(deps: HistoryDeps, sync: AttemptSync, partition: number) {
    this.#deps = deps
    this.#sync = sync
    this.#partition = partition
  }

  /** Gives at most one attempt more than the limit, so that the caller can tell whether there are more. */
  async read(
    query: {
      readonly filter: AttemptsFilter
      readonly limit: number
      readonly before: number | undefined
      readonly place: string
    },
    signal: AbortSignal,
  ): Promise<Found[]> {
    const { log, io, prefix } = this.#deps
    const { filter, limit, before, place } = query
    const target = at(syncTopics(prefix, this.#sync.sync).attempts, this.#partition)
    const found: Found[] = []
    const backwards = log.readBackwards(target, { signal, ...(before === undefined ? {} : { before }) })
    for await (const stored of backwards) {
      // A record that cannot be decoded is not an attempt of Sluice.
      const [placed] = await decodeEach(io, [stored], signal)
      if (placed?.record?.name !== 'sluice.Attempt') continue
      const attempt = placed.record.value
      if (attempt.incarnation !== this.#sync.incarnation || isIntent(attempt)) continue
      if (filter.run !== null && attempt.run < filter.run.number) break
      if (!matches(filter, attempt)) continue
      const request = await this.#request(attempt.requestOffset, signal)
      const keys = keysOf(attempt, request)
      if (filter.key !== null && !keys.includes(filter.key)) continue
      const view = attemptView(attempt, request, this.#viewPlace(keys))
      found.push({ view, sortedAs: attempt.startedAt, place, offset: placed.offset })
      if (found.length > limit) break
    }
    return found
  }

  #viewPlace(keys: string[]): { readonly sync: string; readonly partition: number; readonly keys: string[] } {
    return { sync: this.#sync.sync, partition: this.#partition, keys }
  }

  /**
   * The request of an attempt, for its body, which `attempts` does not repeat. Null once it is trimmed, or if
   * it cannot be read.
   */
  async #request(offset: number, signal: AbortSignal): Promise<Request | Unrenderable | null> {
    const { log, io, prefix } = this.#deps
    const target = at(syncTopics(prefix, this.#sync.sync).requests, this.#partition)
    const { incarnation } = this.#sync
    const reading = { log, io, target, incarnation, stage: 'requests', signal } as const
    try {
      for await (const batch of readOwned({ ...reading, from: offset, to: offset + 1 })) {
        const record = batch.records[0]?.record
        if (record?.name === 'sluice.Request' || record?.name === 'sluice.Unrenderable') return record.value
      }
    } catch (error) {
      if (!isSluiceError(error, 'offset-out-of-range') && !isSluiceError(error, 'corrupt')) throw error
    }
    return null
  }
}

/** The keys of the rows that it sent: of all rows of the request, or of those of a part. */
function keysOf(attempt: Attempt, request: Request | Unrenderable | null): string[] {
  const keys = request?.rows.map(row => row.key) ?? []
  // An attempt of an earlier version has no such field.
  const part: readonly number[] | null | undefined = attempt.part
  return part === null || part === undefined ? keys : part.flatMap(position => keys[position] ?? [])
}

function matches(filter: AttemptsFilter, attempt: Attempt): boolean {
  if (filter.run !== null && attempt.runId !== filter.run.id) return false
  if (filter.status !== null && attempt.status !== filter.status) return false
  return filter.since === null || attempt.startedAt >= filter.since
}

function attemptView(
  attempt: Attempt,
  request: Request | Unrenderable | null,
  of: { readonly sync: string; readonly partition: number; readonly keys: string[] },
): AttemptView {
  const whole = request !== null && 'body' in request ? request.body : null
  const body = whole === null ? null : new TextDecoder('utf-8', { ignoreBOM: true }).decode(whole)
  return {
    requestId: `${attempt.runId}.${of.partition}.${attempt.seq}`,
    run: attempt.runId,
    sync: of.sync,
    trigger: attempt.trigger,
    attempt: attempt.attempt,
    keys: of.keys,
    method: attempt.method,
    url: attempt.url,
    status: attempt.status,
    outcome: attempt.outcome,
    startedAt: new Date(attempt.startedAt).toISOString(),
    durationMs: attempt.durationMs,
    requestHeaders: { ...attempt.requestHeaders },
    requestBody: Array.isArray(attempt.part) ? attempt.partBody : body,
    responseHeaders: { ...attempt.responseHeaders },
    responseBody: attempt.responseBody,
    error: attempt.error,
  }
}

function areCursorEntries(value: unknown): value is [string, number][] {
  return Array.isArray(value) && value.every(isCursorEntry)
}

function isCursorEntry(entry: unknown): entry is [string, number] {
  return Array.isArray(entry) && typeof entry[0] === 'string' && Number.isSafeInteger(entry[1])
}
