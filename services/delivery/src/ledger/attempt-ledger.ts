/**
 * The ledger of one partition, in the topic `attempts`. It writes an attempt a few milliseconds after its
 * answer, or at once if somebody waits for it. Then it writes the retry entries and captured values that
 * follow from it. A request is finished when the log has acknowledged all of these. Each append ends with the
 * checkpoint from which a successor goes on (PROTOCOL.md §8). After an incomplete append, the successor goes
 * on from the checkpoint of the append before.
 *
 * States: open → failed (an append was refused, or may be incomplete: `failure` aborts, and nothing more is
 * written).
 */
import type { Checkpoint, Marker } from '@sluice/contracts/records'
import type { CountsByOp } from '@sluice/contracts/state'
import { boundedOrNull } from '@sluice/domain/bounded-text'
import { addCounts } from '@sluice/domain/counts'
import { ERROR_BYTES } from '@sluice/domain/record-sizes'
import { Notifier } from '@sluice/flow/notifier'
import { OffsetWatermark } from '@sluice/flow/offset-watermark'
import type { NewRecord, TopicPartition } from '@sluice/message-log/port'
import type { RecordIo } from '@sluice/topics/record-io'
import type { Ownership } from '@sluice/partition/take-over'
import { markerKey, textKey } from '@sluice/topics/topics'
import type { Effects, UnownedEntry } from '../outcome/effects.ts'
import { FailureReasons, type RetriedRows } from './failed-rows.ts'
import { FinishedLately } from './finished-lately.ts'
import type { UnownedAttempt } from './request-history.ts'

/** Requests that were written within a second count as being as old as the first of them. */
const STEP_MS = 1_000
/**
 * The most marks in memory. With more, every second mark is dropped, so the age is less exact in a run that
 * lasts for days.
 */
const MAX_MARKS = 4_096

interface Mark {
  readonly offset: number
  readonly writtenAt: number
}

/** Keeps the age of the oldest unfinished request, to the second, in bounded memory. */
export class OldestRequest {
  #marks: Mark[] = []

  /** Notes a request that is taken into work. Offsets must rise. `writtenAt` is in ms since 1970. */
  taken(offset: number, writtenAt: number): void {
    const last = this.#marks.at(-1)
    if (last !== undefined && writtenAt - last.writtenAt < STEP_MS) return
    this.#marks.push({ offset, writtenAt })
    if (this.#marks.length > MAX_MARKS) this.#marks = this.#marks.filter((_, index) => index % 2 === 0)
  }

  /** Returns when the request at the position was written; null if none was taken at or above it. */
  writtenAt(position: number): number | null {
    const at = this.#marks.findLastIndex(({ offset }) => offset <= position)
    if (at > 0) this.#marks.splice(0, at)
    return this.#marks[0]?.writtenAt ?? null
  }
}

/** Attempts are collected this long, since an append costs as much as many attempts. */
const GATHER_MS = 4

interface LedgerOptions {
  readonly io: RecordIo
  readonly ownership: Ownership
  readonly attempts: TopicPartition
  readonly retry: TopicPartition
  readonly captured: TopicPartition
  /**
   * The checkpoint to go on from: the lowest offset of `requests` that is not finished, with the counts of
   * the open run below it.
   */
  readonly position: number
  readonly run: number
  readonly counts: CountsByOp
  /**
   * The offset of the first attempt that earlier owners wrote for each request at or above the position. The
   * keys are offsets of `requests`.
   */
  readonly firstAttempts: ReadonlyMap<number, number>
  /** The offset after the last acknowledged record of `attempts`. */
  readonly attemptsEnd: number
  readonly abort: AbortSignal
  /**
   * True while somebody waits for requests to be finished. An attempt is then written at once, or with those
   * that come while the last append is under way.
   */
  readonly isAwaited?: () => boolean
  /** Called after each marker. */
  readonly onMarked?: () => void
  /** Called when requests at the position are finished, so that it moves. */
  readonly onFurther?: () => void
}

interface LedgerEntry {
  readonly requestOffset: number
  /** Null if the topic has the attempt, and only its effects are to be written again. */
  readonly attempt: UnownedAttempt | null
  /** Null for an attempt that does not finish its request. */
  readonly effects: Effects | null
  /** The rows of a failed attempt that will be sent again. */
  readonly retried?: RetriedRows | null
  /**
   * Called once the log has acknowledged the attempt, or never will. It may be called twice. Another request
   * may take its place only after that. So a crash repeats at most twice as many requests as the concurrency.
   */
  readonly release: (() => void) | null
}

export class AttemptLedger {
  readonly #options: LedgerOptions
  readonly #watermark: OffsetWatermark
  readonly #failure = new AbortController()
  readonly #started: number[] = []
  readonly #oldest = new OldestRequest()
  #startedHead = 0
  readonly #finishedCounts = new Map<number, CountsByOp>()
  /** The offset of the first attempt of each request at or above the watermark. */
  readonly #firstAttempts: Map<number, number>
  /** The lowest offset among the first attempts; null if it has to be looked for. */
  #lowestFirst: number | null = null
  #counts: CountsByOp
  /** The counts of the open run, including finished requests above the watermark. */
  #progress: CountsByOp
  #run: number
  #attemptsEnd: number
  #buffer: LedgerEntry[] = []
  #timer: NodeJS.Timeout | null = null
  #isHurried = false
  #flushes = 0
  /** Notifies whenever a request is finished, and on failure. */
  readonly changes = new Notifier()
  /** For people: why rows of the open run failed, and how fast it is. */
  readonly failures = new FailureReasons()
  readonly lately = new FinishedLately()

  constructor(options: LedgerOptions) {
    this.#options = options
    this.#watermark = new OffsetWatermark(options.position)
    this.#counts = options.counts
    this.#progress = options.counts
    this.#run = options.run
    this.#attemptsEnd = options.attemptsEnd
    this.#firstAttempts = new Map(options.firstAttempts)
  }

  /** Aborts, with the error as reason, once the ledger cannot be written. */
  get failure(): AbortSignal {
    return this.#failure.signal
  }

  /** The number of requests that are started and not finished. */
  get unfinished(): number {
    return this.#watermark.underWay
  }

  /** True while the request at this offset is started and not finished. */
  isUnfinished(requestOffset: number): boolean {
    return this.#watermark.isUnderWay(requestOffset)
  }

  /** The number of requests from the lowest unfinished one to the newest one, including finished ones. */
  get window(): number {
    return this.#started.length - this.#startedHead
  }

  get run(): number {
    return this.#run
  }

  /** The counts of the open run, for the requests below the watermark. */
  get counts(): CountsByOp {
    return this.#counts
  }

  /** The counts of the open run, for all finished requests. People see these. */
  get progress(): CountsByOp {
    return this.#progress
  }

  get attemptsEnd(): number {
    return this.#attemptsEnd
  }

  /** Begins a run, with counts of zero. Nothing may be unfinished. */
  beginRun(run: number): void {
    this.#run = run
    this.#counts = {}
    this.#progress = {}
    this.failures.clear()
    this.lately.clear()
    // The remaining entries belong to requests that were skipped after a gap. Their part of the topic is
    // trimmed later.
    this.#firstAttempts.clear()
    this.#lowestFirst = null
  }

  /** The lowest offset of `requests` that is not finished. */
  get position(): number {
    return this.#watermark.position
  }

  /**
   * The time when the oldest unfinished request was written, in ms since 1970, to the second. Null if no
   * request is unfinished.
   */
  get oldestAt(): number | null {
    return this.unfinished === 0 ? null : this.#oldest.writtenAt(this.position)
  }

  /** Takes the request at this offset into work. Offsets must rise. */
  start(requestOffset: number, writtenAt?: number): void {
    if (writtenAt !== undefined) this.#oldest.taken(requestOffset, writtenAt)
    this.#watermark.start(requestOffset)
    this.#started.push(requestOffset)
    this.lately.took()
  }

  /** Skips offsets of `requests` that hold no request. */
  skipTo(nextOffset: number): void {
    this.#watermark.skipTo(nextOffset)
  }

  /** Records an attempt, which is written soon. With `effects` it finishes the request. */
  record(entry: LedgerEntry): void {
    this.#buffer.push(entry)
    this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS)
    if (this.#flushes === 0 && this.#options.isAwaited?.() === true) this.hurry()
  }

  /** Writes all that is recorded within this turn of the event loop, for somebody who waits for it. */
  hurry(): void {
    if (this.#isHurried || this.#buffer.length === 0) return
    this.#isHurried = true
    setImmediate(() => this.#flush())
  }

  /** Fails the ledger, so that the partition has to be taken over again. Only the first error counts. */
  fail(error: unknown): void {
    this.#failure.abort(error)
    this.changes.notify()
  }

  /**
   * Waits until nothing is unfinished and everything recorded is acknowledged. Throws the failure, if there
   * is one.
   */
  async done(options: { signal: AbortSignal }): Promise<void> {
    this.hurry()
    await this.#until(
      () => this.#buffer.length === 0 && this.#flushes === 0 && this.unfinished === 0,
      options,
    )
  }

  /** Waits until all that is recorded is acknowledged. Requests may be unfinished. */
  async flushed(options: { signal: AbortSignal }): Promise<void> {
    this.hurry()
    await this.#until(() => this.#buffer.length === 0 && this.#flushes === 0, options)
  }

  /** Waits until `hasRoom` is true. Asks it whenever attempts are acknowledged. Throws the failure. */
  async room(hasRoom: () => boolean, options: { signal: AbortSignal }): Promise<void> {
    await this.#until(hasRoom, options)
  }

  /** Writes a marker with the present checkpoint. All that is recorded must be acknowledged. */
  async mark(marker: Omit<Marker, 'incarnation' | 'owner' | 'checkpoint'>): Promise<void> {
    const { io, ownership, attempts, abort: signal } = this.#options
    const value = io.encode('Marker', {
      ...marker,
      incarnation: ownership.incarnation,
      owner: ownership.markerOffset(attempts),
      checkpoint: this.#checkpoint(),
    })
    const record = { key: markerKey(marker.kind, `${attempts.partition}`), value }
    const { baseOffset } = await ownership.append(attempts, [record], { signal })
    this.#attemptsEnd = baseOffset + 1
    this.#options.onMarked?.()
  }

  async #until(condition: () => boolean, options: { signal: AbortSignal }): Promise<void> {
    for (;;) {
      const seen = this.changes.version
      this.#failure.signal.throwIfAborted()
      if (condition()) return
      await this.changes.after(seen, options)
    }
  }

  #checkpoint(): Checkpoint {
    if (this.#lowestFirst === null) {
      let lowest = Infinity
      for (const offset of this.#firstAttempts.values()) lowest = Math.min(lowest, offset)
      this.#lowestFirst = lowest
    }
    const from = Math.min(this.#attemptsEnd, this.#lowestFirst)
    return { offset: this.#watermark.position, from, run: this.#run, counts: this.#counts }
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#isHurried = false
    const entries = this.#buffer
    this.#buffer = []
    if (entries.length === 0) return
    this.#flushes += 1
    this.#write(entries)
      .catch((error: unknown) => this.#failure.abort(error))
      .finally(() => {
        for (const entry of entries) entry.release?.()
        this.#flushes -= 1
        this.changes.notify()
      })
  }

  async #write(entries: readonly LedgerEntry[]): Promise<void> {
    this.#failure.signal.throwIfAborted()
    const { attempts, ownership, abort: signal } = this.#options
    const fresh = entries.filter(entry => entry.attempt !== null)
    if (fresh.length > 0) {
      const { baseOffset } = await ownership.append(attempts, this.#attemptRecords(fresh), { signal })
      this.#attemptsEnd = Math.max(this.#attemptsEnd, baseOffset + fresh.length)
      fresh.forEach(({ requestOffset }, index) => {
        if (!this.#firstAttempts.has(requestOffset)) this.#setFirst(requestOffset, baseOffset + index)
      })
    }
    for (const entry of entries) entry.release?.()
    await Promise.all([this.#writeRetry(entries), this.#writeCaptured(entries)])
    for (const { requestOffset, effects, retried = null } of entries) {
      if (retried !== null) this.failures.willRetry(requestOffset, retried)
      if (effects === null) continue
      this.failures.finished(requestOffset, effects)
      this.lately.finished(effects.counts)
      this.#finish(requestOffset, effects.counts)
    }
  }

  /**
   * Encodes attempts, and adds a checkpoint to the last one. The checkpoint is as it was before these
   * attempts finish their requests. So a successor reads at least one of the requests again and opens the
   * run, even if all are finished. The successor waits for late requests of its predecessor, and looks for
   * gaps, only in an open run.
   */
  #attemptRecords(entries: readonly LedgerEntry[]): readonly NewRecord[] {
    const { io, attempts, ownership } = this.#options
    const owned = { incarnation: ownership.incarnation, owner: ownership.markerOffset(attempts) }
    const records: NewRecord[] = []
    entries.forEach(({ attempt }, index) => {
      if (attempt === null) return
      const checkpoint = index === entries.length - 1 ? this.#checkpoint() : null
      const key = textKey(`${attempt.run}/${attempts.partition}/${attempt.seq}`)
      const error = boundedOrNull(attempt.error, ERROR_BYTES)
      records.push({ key, value: io.encode('Attempt', { ...attempt, error, ...owned, checkpoint }) })
    })
    return records
  }

  async #writeRetry(entries: readonly LedgerEntry[]): Promise<void> {
    const { io, retry, ownership, abort: signal } = this.#options
    const owned = { incarnation: ownership.incarnation, owner: ownership.markerOffset(retry) }
    const encode = (entry: UnownedEntry | null): Uint8Array | null =>
      entry === null ? null : io.encode('RetryEntry', { ...entry, ...owned })
    const records = entries.flatMap(({ effects }) =>
      (effects?.retry ?? []).map(({ key, entry }) => ({ key: textKey(key), value: encode(entry) })),
    )
    if (records.length > 0) await ownership.append(retry, records, { signal })
  }

  async #writeCaptured(entries: readonly LedgerEntry[]): Promise<void> {
    const { io, captured, ownership, abort: signal } = this.#options
    const owned = { incarnation: ownership.incarnation, owner: ownership.markerOffset(captured) }
    const records = entries.flatMap(({ effects }) =>
      (effects?.captured ?? []).map(({ key, values }) => ({
        key: textKey(key),
        value: values === null ? null : io.encode('Captured', { ...values, ...owned }),
      })),
    )
    if (records.length > 0) await ownership.append(captured, records, { signal })
  }

  #setFirst(requestOffset: number, first: number): void {
    this.#firstAttempts.set(requestOffset, first)
    if (this.#lowestFirst !== null) this.#lowestFirst = Math.min(this.#lowestFirst, first)
  }

  #forgetFirst(requestOffset: number): void {
    if (this.#firstAttempts.get(requestOffset) === this.#lowestFirst) this.#lowestFirst = null
    this.#firstAttempts.delete(requestOffset)
  }

  #finish(requestOffset: number, counts: CountsByOp): void {
    this.#finishedCounts.set(requestOffset, counts)
    this.#progress = addCounts(this.#progress, counts)
    if (!this.#watermark.finish(requestOffset)) return
    this.#options.onFurther?.()
    const position = this.#watermark.position
    for (;;) {
      const offset = this.#started[this.#startedHead]
      if (offset === undefined || offset >= position) break
      this.#startedHead += 1
      this.#counts = addCounts(this.#counts, this.#finishedCounts.get(offset) ?? {})
      this.#finishedCounts.delete(offset)
      this.#forgetFirst(offset)
    }
    if (this.#startedHead > 1024 && this.#startedHead * 2 > this.#started.length) {
      this.#started.splice(0, this.#startedHead)
      this.#startedHead = 0
    }
  }
}
