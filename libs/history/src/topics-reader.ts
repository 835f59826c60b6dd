/**
 * Reads the history from the topics themselves: for a command that has no index, and while an index lacks
 * some of what they hold. It decodes attempts from the newest to the oldest, so it finds the newest ones at
 * once. A search for rare attempts takes longer the more attempts there are.
 */
import type { Attempt } from '@sluice/contracts/records'
import { isIntent } from '@sluice/domain/answers/intent'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import type { LogRecord } from '@sluice/message-log/port'
import { decodeEach } from '@sluice/topics/owned-reader'
import { at, syncTopics, textKey } from '@sluice/topics/topics'
import { matches, matchesRequest } from './attempt-filter.ts'
import { attemptDetails, keysOf, wholeBody } from './attempt-rows.ts'
import { latencyBin } from './latency-bins.ts'
import type {
  AnswerCount,
  AttemptSearch,
  AttemptCount,
  FollowedTopic,
  Found,
  FoundAttempt,
  HistoryReader,
  NumberedRun,
  Place,
  RunPlace,
  SyncLife,
} from './port.ts'
import { readRequests, type HeldRequest, type SyncPartition, type TopicsDeps } from './read-records.ts'

/** Records are decoded, and their requests read, in chunks of at most this many. */
const MAX_CHUNK = 500
/** A page looks for attempts that match for this time. Then it ends, and the next one goes on there. */
const MAX_MS = 2_000
const READ_AHEAD_BYTES = 4 * 1024 * 1024

const MENTIONING: readonly FollowedTopic[] = ['changes', 'retry', 'captured']

interface PlacedAttempt {
  readonly attempt: Attempt
  readonly offset: number
}

/** An attempt that matches, with its place in the order of the page. */
interface Match {
  readonly found: FoundAttempt
  /** The sort key: ms since 1970. */
  readonly sortedAs: number
  /** The name of its partition. */
  readonly partition: string
}

/** The matches in a partition, and how far it was read. */
interface ReadPartition {
  readonly matches: readonly Match[]
  /** The lowest offset that was looked at; null if the page was full before. */
  readonly lookedTo: number | null
  /**
   * The start of the oldest attempt that was looked at, if there was no time for older ones (ms since 1970).
   */
  readonly cutAt: number | null
}

interface PartitionSearch {
  readonly search: AttemptSearch
  readonly partition: string
  readonly before: number | undefined
  /** ms, as `elapsedMs` has them. */
  readonly endsAtMs: number
}

export class TopicsReader implements HistoryReader {
  readonly #deps: TopicsDeps
  readonly #maxSearchMs: number

  constructor(deps: TopicsDeps, { maxSearchMs = MAX_MS }: { readonly maxSearchMs?: number } = {}) {
    this.#deps = deps
    this.#maxSearchMs = maxSearchMs
  }

  async search(search: AttemptSearch, { signal }: { readonly signal: AbortSignal }): Promise<Found> {
    const { lives, limit } = search
    const endsAtMs = elapsedMs() + this.#maxSearchMs
    const readFrom = new Map(typeof search.before === 'object' ? search.before : [])
    const found: Match[] = []
    const lookedTo = new Map<string, number>()
    let cutAt = -Infinity
    for (const place of await this.#partitionsOf(lives, signal)) {
      const partition = `${place.sync}/${place.partition}`
      const before = readFrom.get(partition)
      const read = await this.#searchPartition(place, { search, partition, before, endsAtMs }, signal)
      found.push(...inTopicOrder(read.matches))
      if (read.lookedTo !== null) lookedTo.set(partition, read.lookedTo)
      cutAt = Math.max(cutAt, read.cutAt ?? -Infinity)
    }
    found.sort(newestFirst)
    // A later page has the attempts from before `cutAt`.
    const page = found.filter(({ sortedAs }) => sortedAs >= cutAt).slice(0, limit)
    return {
      attempts: page.map(match => match.found),
      hasMore: found.length > page.length || cutAt > -Infinity,
      lookedBackTo: cutAt === -Infinity ? null : cutAt,
      placeAfter: count => {
        const left = new Set(found.slice(count).map(({ partition }) => partition))
        const next = new Map(readFrom)
        for (const [partition, offset] of lookedTo) if (!left.has(partition)) next.set(partition, offset)
        for (const {
          partition,
          found: { offset },
        } of page.slice(0, count))
          next.set(partition, Math.min(next.get(partition) ?? offset, offset))
        return [...next]
      },
    }
  }

  async ofRequest(
    { run, partition, seq, ...life }: RunPlace & { readonly partition: number; readonly seq: number },
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly FoundAttempt[]> {
    const places = await this.#partitionsOf([life], signal)
    const place = places.find(each => each.partition === partition)
    if (place === undefined) return []
    const found: PlacedAttempt[] = []
    for await (const { attempts } of this.#backwards(place, { run, size: MAX_CHUNK }, signal))
      found.push(...attempts.filter(({ attempt }) => attempt.runId === run.id && attempt.seq === seq))
    return await this.#withRequests(place, found.reverse(), signal)
  }

  async counts(
    { run, ...life }: RunPlace,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly AttemptCount[]> {
    const rows: AttemptCount[] = []
    for (const place of await this.#partitionsOf([life], signal))
      for await (const { attempts } of this.#backwards(place, { run, size: MAX_CHUNK }, signal))
        for (const { attempt } of attempts) {
          const { runId, startedAt, outcome, durationMs, attempt: number } = attempt
          // Attempt 0 says that nothing was sent.
          if (runId !== run.id || number === 0) continue
          rows.push({ second: Math.floor(startedAt / 1_000), outcome, bin: latencyBin(durationMs), count: 1 })
        }
    return rows
  }

  async answers(
    { run, limit, ...life }: RunPlace & { readonly limit: number },
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly AnswerCount[]> {
    const found = new Map<string, AnswerCount>()
    let left = limit
    for (const place of await this.#partitionsOf([life], signal))
      for await (const { attempts } of this.#backwards(place, { run, size: MAX_CHUNK }, signal)) {
        for (const { attempt } of attempts) {
          const { runId, outcome, status, error } = attempt
          if (runId !== run.id || left === 0) continue
          left -= 1
          const alike = JSON.stringify([outcome, status, error])
          const count = (found.get(alike)?.count ?? 0) + 1
          found.set(alike, { outcome, status, error, count })
        }
        if (left === 0) break
      }
    return [...found.values()]
  }

  /** Compares keys as bytes, and decodes nothing. */
  async mentions(
    { key, limit, sync, incarnation }: SyncLife & { readonly key: string; readonly limit: number },
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly { readonly place: Place; readonly offset: number }[]> {
    const { log, prefix } = this.#deps
    const wanted = Buffer.from(textKey(key))
    const found: { readonly place: Place; readonly offset: number }[] = []
    for (const topic of MENTIONING) {
      const name = syncTopics(prefix, sync)[topic]
      const partitions = (await log.partitionsOf(name, { signal })) ?? 0
      for (let partition = 0; partition < partitions; partition += 1) {
        const place = { sync, incarnation, topic, partition }
        const { low, end } = await log.offsets(at(name, partition), { signal })
        if (low >= end) continue
        const reading = { from: low, to: end, bufferBytes: READ_AHEAD_BYTES, signal }
        for await (const { records } of log.read(at(name, partition), reading))
          for (const { key: bytes, offset } of records)
            if (wanted.equals(bytes)) found.push({ place, offset })
      }
    }
    return found.slice(-limit)
  }

  /** The partitions of `attempts`. The other topics of a sync have the same ones. */
  async #partitionsOf(lives: readonly SyncLife[], signal: AbortSignal): Promise<readonly SyncPartition[]> {
    const { log, prefix } = this.#deps
    const places: SyncPartition[] = []
    for (const { sync, incarnation } of lives) {
      const partitions = (await log.partitionsOf(syncTopics(prefix, sync).attempts, { signal })) ?? 0
      for (let partition = 0; partition < partitions; partition += 1)
        places.push({ sync, incarnation, partition })
    }
    return places
  }

  /** Gives at most one attempt more than the limit, so that the caller can tell whether there are more. */
  async #searchPartition(
    place: SyncPartition,
    { search, partition, before, endsAtMs }: PartitionSearch,
    signal: AbortSignal,
  ): Promise<ReadPartition> {
    const { run, limit } = search
    const size = Math.min(limit + 1, MAX_CHUNK)
    const found: Match[] = []
    let lookedTo: number | null = null
    let oldest = Infinity
    for await (const chunk of this.#backwards(place, { run, before, size }, signal)) {
      const attempts = chunk.attempts.filter(({ attempt }) => matches(search, attempt))
      for (const one of await this.#withRequests(place, attempts, signal))
        if (matchesRequest(search, one)) found.push({ found: one, sortedAs: one.startedAt, partition })
      lookedTo = chunk.lookedTo
      if (found.length > limit) return { matches: found.slice(0, limit + 1), lookedTo: null, cutAt: null }
      for (const { attempt } of chunk.attempts) oldest = Math.min(oldest, attempt.startedAt)
      // Without any attempt, the time at which the search was cut is unknown, so it goes on.
      if (!chunk.isLast && elapsedMs() > endsAtMs && oldest < Infinity)
        return { matches: found, lookedTo, cutAt: oldest }
    }
    return { matches: found, lookedTo, cutAt: null }
  }

  /**
   * Yields the attempts of a partition in chunks, the newest first, up to the attempts of runs before `run`.
   */
  async *#backwards(
    place: SyncPartition,
    range: { readonly run: NumberedRun | null; readonly before?: number | undefined; readonly size: number },
    signal: AbortSignal,
  ): AsyncGenerator<{
    readonly attempts: readonly PlacedAttempt[]
    /** The lowest offset of the chunk. */
    readonly lookedTo: number
    /** True if the topic has attempts of an earlier run before it. */
    readonly isLast: boolean
  }> {
    const { log, io, prefix } = this.#deps
    const { run, before, size } = range
    const target = at(syncTopics(prefix, place.sync).attempts, place.partition)
    const backwards = log.readBackwards(target, { signal, ...(before === undefined ? {} : { before }) })
    for await (const records of inChunks(backwards, size)) {
      const attempts: PlacedAttempt[] = []
      let isLast = false
      // A record that cannot be decoded is not an attempt of Sluice.
      for (const { record, offset } of await decodeEach(io, records, signal)) {
        if (record?.name !== 'sluice.Attempt') continue
        const attempt = record.value
        if (attempt.incarnation !== place.incarnation || isIntent(attempt)) continue
        isLast = run !== null && attempt.run < run.number
        if (isLast) break
        attempts.push({ attempt, offset })
      }
      yield { attempts, lookedTo: records.at(-1)?.offset ?? 0, isLast }
      if (isLast) return
    }
  }

  async #withRequests(
    place: SyncPartition,
    attempts: readonly PlacedAttempt[],
    signal: AbortSignal,
  ): Promise<
    readonly (FoundAttempt & Pick<Attempt, 'responseBody'> & { readonly requestBody: string | null })[]
  > {
    const offsets = attempts.map(({ attempt }) => attempt.requestOffset)
    const pick = ({ value }: HeldRequest): HeldRequest['value'] => value
    const requests = await readRequests(this.#deps, { ...place, offsets, pick }, signal)
    return attempts.map(({ attempt, offset }) => {
      const request = requests.get(attempt.requestOffset) ?? null
      const details = attemptDetails(attempt, request === null ? null : wholeBody(request))
      const { requestBody } = details
      return {
        ...attempt,
        ...place,
        offset,
        keys: keysOf(attempt, request?.rows ?? []),
        details,
        requestBody,
      }
    })
  }
}

/**
 * Sorts in the order of the topic, on which the cursor relies: no attempt counts as newer than one after it.
 * The start times alone would break that order. Delivery writes an attempt when it ends, so an attempt that
 * started later may come before one that started earlier.
 */
export function inTopicOrder<T extends { readonly sortedAs: number }>(backwards: readonly T[]): T[] {
  let sortedAs = Infinity
  return backwards.map(one => {
    sortedAs = Math.min(sortedAs, one.sortedAs)
    return { ...one, sortedAs }
  })
}

function newestFirst(a: Match, b: Match): number {
  if (a.sortedAs !== b.sortedAs) return b.sortedAs - a.sortedAs
  if (a.partition !== b.partition) return a.partition < b.partition ? -1 : 1
  return b.found.offset - a.found.offset
}

async function* inChunks(
  records: AsyncIterable<LogRecord>,
  size: number,
): AsyncGenerator<readonly LogRecord[]> {
  let chunk: LogRecord[] = []
  for await (const record of records) {
    chunk.push(record)
    if (chunk.length < size) continue
    yield chunk
    chunk = []
  }
  if (chunk.length > 0) yield chunk
}
