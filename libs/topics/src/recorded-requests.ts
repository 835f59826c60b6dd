/**
 * The recorded requests that a replay is asked to send again (PROTOCOL.md §12). They are chosen by the
 * attempts at sending them, and come in the order in which they were sent first: by run, and within a run by
 * partition and offset. In a run a key has one request, so this is the order of each key.
 */
import type { ReplayScope } from '@sluice/contracts/state'
import type { Attempt, Request } from '@sluice/contracts/records'
import { isIntent } from '@sluice/domain/answers/intent'
import { isAmong } from '@sluice/domain/answers/status-filter'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { markerOf, readOwned } from './owned-reader.ts'
import type { RecordIo } from './record-io.ts'
import { at, syncTopics } from './topics.ts'
import { OffsetSet } from './offset-set.ts'

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

/** Where a request stands. */
export interface RecordedPlace {
  readonly run: number
  readonly partition: number
  readonly offset: number
}

export interface RecordedRequest extends RecordedPlace {
  readonly runId: string
  readonly request: Request
}

/** What is known of one partition. */
interface Chosen {
  readonly target: TopicPartition
  /** The requests of which an attempt fits. */
  readonly offsets: OffsetSet
  /** Where the topic ended when it was looked at. */
  readonly from: number
  readonly to: number
}

/** Most bytes that are read ahead of one partition. */
const BUFFER_BYTES = 2_000_000

export class RecordedRequests {
  readonly #deps: RecordedDeps
  readonly #of: RecordedSync
  readonly #scope: ReplayScope
  readonly #chosen: readonly Chosen[]
  /** Requests of which attempts fit, and which are not in their topic any more. */
  readonly trimmed: number

  private constructor(
    deps: RecordedDeps,
    of: RecordedSync,
    found: { readonly scope: ReplayScope; readonly chosen: readonly Chosen[]; readonly trimmed: number },
  ) {
    this.#deps = deps
    this.#of = of
    this.#scope = found.scope
    this.#chosen = found.chosen
    this.trimmed = found.trimmed
  }

  /** Reads the attempts, and remembers a bit for each request of which one fits. */
  static async find(
    deps: RecordedDeps,
    of: RecordedSync,
    scope: ReplayScope,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<RecordedRequests> {
    const { log, io, prefix } = deps
    const topics = syncTopics(prefix, of.sync)
    const chosen: Chosen[] = []
    let trimmed = 0
    for (let partition = 0; partition < of.partitions; partition += 1) {
      const target = at(topics.requests, partition)
      const attempts = at(topics.attempts, partition)
      const { low: from, end: to } = await log.offsets(target, { signal })
      const { low, end } = await log.offsets(attempts, { signal })
      const offsets = new OffsetSet(from)
      const gone = new Set<number>()
      const reading = { log, io, target: attempts, incarnation: of.incarnation, stage: 'attempts' } as const
      const options = { from: low, to: end, yieldsTorn: true, bufferBytes: BUFFER_BYTES, signal } as const
      if (low < end)
        for await (const { records } of readOwned({ ...reading, ...options }))
          for (const { record } of records) {
            if (record?.name !== 'sluice.Attempt' || !fits(scope, record.value)) continue
            const { requestOffset } = record.value
            if (requestOffset < from) gone.add(requestOffset)
            // A stranger may name a place that is none.
            else if (requestOffset < to) offsets.add(requestOffset)
          }
      trimmed += gone.size
      chosen.push({ target, offsets, from, to })
    }
    return new RecordedRequests(deps, of, { scope, chosen, trimmed })
  }

  /**
   * The requests behind the place, or all, in batches. May be called many times, and gives the same each time
   * as long as nothing is trimmed. A request that a replay sent is passed over, unless the scope names that
   * run: otherwise each replay would repeat those before it.
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
    of: { readonly after: RecordedPlace | null; readonly signal: AbortSignal },
  ): AsyncGenerator<readonly RecordedRequest[]> {
    const { log, io } = this.#deps
    const { keys, run: wantedRun } = this.#scope
    const reading = { log, io, target, incarnation: this.#of.incarnation, stage: 'requests' } as const
    const options = { from, to, yieldsTorn: true, bufferBytes: BUFFER_BYTES, signal: of.signal } as const
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
        if (of.after === null || isBehind(place, of.after)) found.push({ ...place, runId, request })
      }
      if (found.length > 0) yield found
    }
  }
}

/** The requests of one partition, of which the next is looked at first. */
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

  /** Those of the run that are read. */
  take(run: number): readonly RecordedRequest[] {
    const end = this.#batch.findIndex(of => of.run !== run)
    const taken = end < 0 ? this.#batch : this.#batch.slice(0, end)
    this.#batch = this.#batch.slice(taken.length)
    return taken
  }

  async close(): Promise<void> {
    await this.#batches.return(undefined).catch(() => undefined)
  }
}

/** True for a request that was sent, or may have been, where the attempt fits the scope. */
function fits(scope: ReplayScope, attempt: Attempt): boolean {
  const { run, since, until, status, outcome, trigger } = scope
  const mayBeSent = attempt.attempt > 0 || attempt.outcome === 'unknown'
  // What was announced and not sent has no answer. The attempt after it tells what became of it.
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
