import { Notifier } from '@sluice/flow/notifier'
import type { LogRecord, ReadBatch, TopicPartition } from '../../../port.ts'
import { name } from '../cluster.ts'
import { decodeBatch, measure } from '../record-batch.ts'
import type { Waiting } from '../stalls.ts'

/**
 * A reader gets this many records or bytes at a time at least, if that much is there: single batches may be
 * tiny.
 */
const STEP_RECORDS = 500
const STEP_BYTES = 256 * 1024

/**
 * The most that one answer brings for one partition, so that a large buffer does not hold up the others of
 * the same answer.
 */
const FETCH_BYTES = 1024 * 1024

/**
 * What is fetched for one reader and not yet taken. The fetch loop puts stretches of whole batches in, the
 * reader takes records out; batches are decoded only when they are taken. Never more than `limitBytes` are
 * held, unless a single batch is larger.
 */
export class Feed {
  readonly target: TopicPartition
  /** The name of the partition. */
  readonly place: string
  /** Wakes the reader: something was put in, or it failed. */
  readonly filled = new Notifier()
  /** The offset to fetch next. */
  fetchOffset: number
  /** Part of a request that is under way. */
  inFlight = false
  /** When its present failures began (performance.now()), and how many there were in a row. */
  failingSince: number | null = null
  failures = 0
  /** Set while an answer is waited for, over failures. */
  waiting: Waiting | null = null
  readonly #limitBytes: number
  readonly #to: number
  readonly #onHungry: () => void
  #stretches: Buffer[] = []
  #at = 0
  #bytes = 0
  #position: number
  #error: unknown
  #state: 'open' | 'failed' | 'closed' = 'open'

  constructor(options: {
    target: TopicPartition
    from: number
    to: number | undefined
    limitBytes: number
    onHungry: () => void
  }) {
    this.target = options.target
    this.place = name(options.target)
    this.fetchOffset = options.from
    this.#position = options.from
    this.#to = options.to ?? Number.POSITIVE_INFINITY
    this.#limitBytes = options.limitBytes
    this.#onHungry = options.onHungry
  }

  get open(): boolean {
    return this.#state === 'open'
  }

  /**
   * It has room for more: asked for at half of the limit, so that the reader has something to take while the
   * next is under way.
   */
  get hungry(): boolean {
    return this.open && this.#bytes * 2 <= this.#limitBytes && this.fetchOffset < this.#to
  }

  get roomBytes(): number {
    return Math.max(1, Math.min(this.#limitBytes - this.#bytes, FETCH_BYTES))
  }

  /**
   * Takes over the whole batches of an answer (copied, since the answer's buffer holds other partitions too);
   * returns whether there were any.
   */
  put(batches: Buffer): boolean {
    const { bytes, nextOffset } = measure(batches)
    if (nextOffset === null || !this.open) return false
    this.fetchOffset = Math.max(this.fetchOffset, nextOffset)
    this.#stretches.push(Buffer.from(batches.subarray(0, bytes)))
    this.#bytes += bytes
    this.filled.notify()
    return true
  }

  fail(error: unknown): void {
    if (!this.open) return
    this.#state = 'failed'
    this.#error = error
    this.#stretches = []
    this.filled.notify()
  }

  close(): void {
    this.#state = 'closed'
    this.#stretches = []
    this.filled.notify()
  }

  /** The next records, or null if nothing is held now; throws what the feed failed with. */
  take(): ReadBatch | null {
    if (this.#state === 'failed') throw this.#error
    const records: LogRecord[] = []
    const from = this.#position
    let taken = 0
    while (taken < STEP_BYTES && records.length < STEP_RECORDS) {
      const stretch = this.#stretches[0]
      if (stretch === undefined) break
      const { end, nextOffset } = decodeBatch(stretch, this.#at, { from, into: records })
      taken += end - this.#at
      this.#at = end
      // The first batch of a fetch may begin, and after compaction even end, below the offset that was asked
      // for.
      this.#position = Math.max(this.#position, nextOffset)
      if (end < stretch.length) continue
      this.#stretches.shift()
      this.#at = 0
    }
    if (taken === 0) return null
    const wasHungry = this.hungry
    this.#bytes -= taken
    if (!wasHungry && this.hungry) this.#onHungry()
    return { records, nextOffset: this.#position }
  }
}
