/**
 * Finds the recorded requests that a replay sends again (PROTOCOL.md §12). Their attempts decide which
 * requests fit. Requests come in the order in which they were first sent: by run, and within a run by
 * partition and offset. A key has one request in a run, so this keeps the order of each key.
 */
import type { ReplayScope } from '@sluice/contracts/state'
import type { Attempt, Request } from '@sluice/contracts/records'
import { isIntent } from '@sluice/domain/answers/intent'
import { isAmong } from '@sluice/domain/answers/status-filter'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { markerOf, readOwned } from './owned-reader.ts'
import type { RecordIo } from './record-io.ts'
import { at, syncTopics } from './topics.ts'

export interface RecordedDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
}

export interface RecordedSync {
  readonly sync: string
  readonly incarnation: string
  readonly partitions: number
}

/** The place of a request in its topic. */
export interface RecordedPlace {
  readonly run: number
  readonly partition: number
  readonly offset: number
}

export interface RecordedRequest extends RecordedPlace {
  readonly runId: string
  readonly request: Request
}

/** The chosen requests of one partition. */
interface Chosen {
  readonly target: TopicPartition
  /** The requests with an attempt that fits. */
  readonly offsets: OffsetSet
  /** The range of the topic when its attempts were read. */
  readonly from: number
  readonly to: number
}

/** The bytes that are read ahead of one partition. */
const BUFFER_BYTES = 2_000_000
/** The first size of a set of offsets. */
const FIRST_BYTES = 1024

export class RecordedRequests {
  readonly #deps: RecordedDeps
  readonly #sync: RecordedSync
  readonly #scope: ReplayScope
  readonly #chosen: readonly Chosen[]
  /** The number of requests that fit but are no longer in their topic. */
  readonly trimmed: number

  private constructor(
    deps: RecordedDeps,
    sync: RecordedSync,
    found: { readonly scope: ReplayScope; readonly chosen: readonly Chosen[]; readonly trimmed: number },
  ) {
    this.#deps = deps
    this.#sync = sync
    this.#scope = found.scope
    this.#chosen = found.chosen
    this.trimmed = found.trimmed
  }

  /** Reads the attempts, and remembers a bit for each request that fits. */
  static async find(
    deps: RecordedDeps,
    sync: RecordedSync,
    scope: ReplayScope,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<RecordedRequests> {
    const { log, io, prefix } = deps
    const topics = syncTopics(prefix, sync.sync)
    const chosen: Chosen[] = []
    let trimmed = 0
    for (let partition = 0; partition < sync.partitions; partition += 1) {
      const target = at(topics.requests, partition)
      const attempts = at(topics.attempts, partition)
      const { low: from, end: to } = await log.offsets(target, { signal })
      const { low, end } = await log.offsets(attempts, { signal })
      const offsets = new OffsetSet(from)
      const gone = new Set<number>()
      const reading = { log, io, target: attempts, incarnation: sync.incarnation, stage: 'attempts' } as const
      const options = { from: low, to: end, yieldsTorn: true, bufferBytes: BUFFER_BYTES, signal } as const
      if (low < end)
        for await (const { records } of readOwned({ ...reading, ...options }))
          for (const { record } of records) {
            if (record?.name !== 'sluice.Attempt' || !fits(scope, record.value)) continue
            const { requestOffset } = record.value
            if (requestOffset < from) gone.add(requestOffset)
            // A foreign attempt may name a place that does not exist.
            else if (requestOffset < to) offsets.add(requestOffset)
          }
      trimmed += gone.size
      chosen.push({ target, offsets, from, to })
    }
    return new RecordedRequests(deps, sync, { scope, chosen, trimmed })
  }

  /**
   * Yields the requests after the place, or all, in batches. It may be called many times, and yields the same
   * as long as nothing is trimmed. It skips requests that a replay sent, unless the scope names that run.
   * Otherwise each replay would repeat the replays before it.
   */
  async *requests(
    { after = null }: { readonly after?: RecordedPlace | null },
    signal: AbortSignal,
  ): AsyncGenerator<readonly RecordedRequest[]> {
    const ending = new AbortController()
    const options = { after, signal: AbortSignal.any([signal, ending.signal]) }
    const heads: Head[] = []
    try {
      for (const [partition, chosen] of this.#chosen.entries())
        if (chosen.offsets.size > 0) heads.push(new Head(this.#read(partition, chosen, options)))
      for (;;) {
        await Promise.all(heads.map(head => head.fill()))
        const open = heads.filter(head => head.next !== null)
        const run = Math.min(...open.map(head => head.next?.run ?? Infinity))
        const [first] = open.filter(head => head.next?.run === run)
        if (first === undefined) return
        yield first.take(run)
      }
    } finally {
      ending.abort()
      await Promise.all(heads.map(head => head.close()))
    }
  }

  async *#read(
    partition: number,
    { target, offsets, from, to }: Chosen,
    { after, signal }: { readonly after: RecordedPlace | null; readonly signal: AbortSignal },
  ): AsyncGenerator<readonly RecordedRequest[]> {
    const { log, io } = this.#deps
    const { keys, run: wantedRun } = this.#scope
    const reading = { log, io, target, incarnation: this.#sync.incarnation, stage: 'requests' } as const
    const options = { from, to, yieldsTorn: true, bufferBytes: BUFFER_BYTES, signal } as const
    let runId = ''
    for await (const { records } of readOwned({ ...reading, ...options })) {
      const found: RecordedRequest[] = []
      for (const { record, offset } of records) {
        const marker = markerOf(record)
        if (marker?.kind === 'run-begin') runId = marker.begin?.runId ?? ''
        if (record?.name !== 'sluice.Request' || !offsets.has(offset)) continue
        const request = record.value
        if (wantedRun === null && isCopy(request)) continue
        if (keys !== null && !request.rows.some(({ key }) => keys.includes(key))) continue
        const place = { run: request.run, partition, offset }
        if (after === null || isBehind(place, after)) found.push({ ...place, runId, request })
      }
      if (found.length > 0) yield found
    }
  }
}

/** The requests of one partition in order. A caller can look at the next request before it takes it. */
class Head {
  readonly #batches: AsyncGenerator<readonly RecordedRequest[]>
  #batch: readonly RecordedRequest[] = []
  #isDone = false

  constructor(batches: AsyncGenerator<readonly RecordedRequest[]>) {
    this.#batches = batches
  }

  get next(): RecordedRequest | null {
    return this.#batch[0] ?? null
  }

  async fill(): Promise<void> {
    if (this.#isDone || this.#batch.length > 0) return
    const next = await this.#batches.next()
    if (next.done === true) this.#isDone = true
    else this.#batch = next.value
  }

  /** Takes the requests of the run that have been read. */
  take(run: number): readonly RecordedRequest[] {
    const end = this.#batch.findIndex(request => request.run !== run)
    const taken = end < 0 ? this.#batch : this.#batch.slice(0, end)
    this.#batch = this.#batch.slice(taken.length)
    return taken
  }

  async close(): Promise<void> {
    await this.#batches.return(undefined).catch(() => undefined)
  }
}

/** True if the attempt may have been sent, and fits the scope. */
function fits(scope: ReplayScope, attempt: Attempt): boolean {
  const { run, since, until, status, outcome, trigger } = scope
  const mayBeSent = attempt.attempt > 0 || attempt.outcome === 'unknown'
  // An intent has no answer. The attempt after it has the outcome.
  if (!mayBeSent || isIntent(attempt)) return false
  return (
    (run === null || attempt.runId === run) &&
    (since === null || attempt.startedAt >= since) &&
    (until === null || attempt.startedAt < until) &&
    (status === null || isAmong(status, attempt.status)) &&
    (outcome === null || attempt.outcome === outcome) &&
    (trigger === null || attempt.trigger === trigger)
  )
}

function isCopy({ replayOf }: Request): boolean {
  return replayOf !== null && replayOf !== undefined
}

/** True if the place comes later in the order of requests. */
function isBehind(place: RecordedPlace, other: RecordedPlace): boolean {
  if (place.run !== other.run) return place.run > other.run
  if (place.partition !== other.partition) return place.partition > other.partition
  return place.offset > other.offset
}

/** A set of offsets of one partition, with a bit for each, so that it takes millions of requests. */
export class OffsetSet {
  readonly #low: number
  #bits = new Uint8Array(FIRST_BYTES)
  #size = 0

  /** No offset below `low` is ever added. */
  constructor(low: number) {
    this.#low = low
  }

  get size(): number {
    return this.#size
  }

  add(offset: number): void {
    const at = offset - this.#low
    const byte = Math.floor(at / 8)
    if (byte >= this.#bits.length) {
      const grown = new Uint8Array(Math.max(byte + 1, this.#bits.length * 2))
      grown.set(this.#bits)
      this.#bits = grown
    }
    const before = this.#bits[byte] ?? 0
    const after = before | (1 << (at % 8))
    if (after !== before) this.#size += 1
    this.#bits[byte] = after
  }

  has(offset: number): boolean {
    const at = offset - this.#low
    return at >= 0 && ((this.#bits[Math.floor(at / 8)] ?? 0) & (1 << (at % 8))) !== 0
  }
}
