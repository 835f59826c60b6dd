import { Notifier } from '@sluice/flow/notifier'
import type { LogRecord, ReadBatch, TopicPartition } from '../../../port.ts'
import { name } from '../cluster.ts'
import { decodeBatch, measure } from '../record-batch.ts'
import type { Waiting } from '../stalls.ts'

/**
 * A reader gets at least this many records or bytes at a time, if that much is there. Single batches may be
 * tiny.
 */
const STEP_RECORDS = 500
const STEP_BYTES = 256 * 1024

/**
 * The most that one answer brings for one partition, so that a partition with a large buffer does not delay
 * the others in the same answer.
 */
const FETCH_BYTES = 1024 * 1024

/**
 * The batches that are fetched for one reader and not yet taken. The fetch loop puts in stretches of whole
 * batches, and the reader takes records out. A batch is decoded only when the reader takes it. The feed holds
 * at most `limitBytes`, unless a single batch is larger.
 */
export class Feed {
  readonly target: TopicPartition
  /** The name of the partition. */
  readonly place: string
  /** Wakes the reader when batches were put in, or when the feed failed. */
  readonly filled = new Notifier()
  /** The offset to fetch next. */
  fetchOffset: number
  /** True while it is part of a request under way. */
  inFlight = false
  /** When the present series of failures began (performance.now()), and how many failures it has. */
  failingSince: number | null = null
  failures = 0
  /** Set while it waits for an answer, also across failures. */
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
   * True if it has room for more, which it has below half of the limit. So the reader has records to take
   * while the next request is under way.
   */
  get hungry(): boolean {
    return this.open && this.#bytes * 2 <= this.#limitBytes && this.fetchOffset < this.#to
  }

  get roomBytes(): number {
    return Math.max(1, Math.min(this.#limitBytes - this.#bytes, FETCH_BYTES))
  }

  /**
   * Copies the whole batches out of an answer, whose buffer holds other partitions too. Returns whether there
   * were any.
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

  /** The next records, or null if it holds none now. Throws the error with which the feed failed. */
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
      // The first batch of a fetch may begin below the requested offset. After compaction it may even end
      // below it.
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
