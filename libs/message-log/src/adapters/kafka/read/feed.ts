import { Notifier } from '@sluice/flow/notifier'
import type { LogRecord, ReadBatch, TopicPartition } from '../../../port.ts'
import { name } from '../cluster.ts'
import type { AbortedTransaction } from '../own-requests.ts'
import { framesOf, markAborted, openBatch, type BatchReader, type Frame } from './decode-batch.ts'
import type { Waiting } from '../stalls.ts'

/**
 * A reader gets about this many records or bytes at a time, if that much is there. Small batches are joined.
 * A large batch is split, since V8 copies objects that live long.
 */
const STEP_RECORDS = 500
const STEP_BYTES = 256 * 1024

/**
 * The bytes that one answer brings at most for one partition, so that a partition with a large buffer does
 * not delay the others in the same answer.
 */
const FETCH_BYTES = 1024 * 1024

interface TakenBatch {
  readonly reader: BatchReader
  /** The offset at which reading goes on after the batch. */
  readonly nextOffset: number
  /** The bytes by which the batch counted in the feed until it was opened. */
  readonly heldBytes: number
}

/**
 * Holds the batches that are fetched for one reader and not yet taken. The fetch loop puts in segments of
 * complete batches, and the reader takes records out. A batch is decoded only when the reader takes it. The
 * feed holds at most `limitBytes`, unless a single batch is larger.
 */
export class Feed {
  readonly target: TopicPartition
  /** The name of the partition. */
  readonly place: string
  /** Wakes the reader when batches were put in, or when the feed failed. */
  readonly filled = new Notifier()
  /** The offset to fetch next. */
  fetchOffset: number
  /** True while a request for this feed is under way. */
  inFlight = false
  /** The time at which the present series of failures began (performance.now()). */
  failingSince: number | null = null
  /** The number of failures in the present series. */
  failures = 0
  /** Set while the feed waits for an answer. A failure does not end the wait. */
  waiting: Waiting | null = null
  readonly #limitBytes: number
  readonly #to: number
  readonly #onHungry: () => void
  #segments: { readonly buffer: Buffer; readonly frames: readonly Frame[] }[] = []
  /** The number of batches of the first segment that were taken. */
  #taken = 0
  /** The batch that is being taken. */
  #open: TakenBatch | null = null
  #bytes = 0
  /** The base offset of the last batch that is fetched again because its checksum was wrong. */
  #fetchedAgain = -1
  #position: number
  /** The end of the partition, when the broker answered last. */
  #end = 0
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
   * True while at most half of the limit is used, so that the reader has records to take while the next
   * request is under way.
   */
  get hungry(): boolean {
    return this.open && this.#bytes * 2 <= this.#limitBytes && this.fetchOffset < this.#to
  }

  get roomBytes(): number {
    return Math.max(1, Math.min(this.#limitBytes - this.#bytes, FETCH_BYTES))
  }

  /**
   * Copies the complete batches of an answer, since its buffer also has batches of other partitions. Returns
   * true if there are any. A batch whose checksum does not fit is fetched once more, since the network may
   * have damaged it. Readers pass over the records of aborted transactions. Throws ConnectionLost if the
   * bytes are no batches.
   */
  put(batches: Buffer, aborted: readonly AbortedTransaction[]): boolean {
    if (!this.open) return false
    const all = markAborted(batches, framesOf(batches, this.fetchOffset), aborted)
    const frames = all.slice(0, this.#firstToFetchAgain(all))
    const last = frames.at(-1)
    if (last === undefined) return all.length > 0
    this.fetchOffset = Math.max(this.fetchOffset, last.nextOffset)
    this.#segments.push({ buffer: Buffer.from(batches.subarray(0, last.end)), frames })
    this.#bytes += last.end
    this.filled.notify()
    return true
  }

  #firstToFetchAgain(frames: readonly Frame[]): number {
    const index = frames.findIndex(({ intact, base }) => !intact && base > this.#fetchedAgain)
    const damaged = frames[index]
    if (damaged === undefined) return frames.length
    this.#fetchedAgain = damaged.base
    return index
  }

  /** Notes the end of the partition, as the broker told it. */
  noteEnd(offset: number): void {
    this.#end = offset
  }

  fail(error: unknown): void {
    if (!this.open) return
    this.#state = 'failed'
    this.#error = error
    this.#segments = []
    this.#open = null
    this.filled.notify()
  }

  close(): void {
    this.#state = 'closed'
    this.#segments = []
    this.#open = null
    this.filled.notify()
  }

  /** Takes the next records; null if there are none now. Throws the error with which the feed failed. */
  take(): ReadBatch | null {
    if (this.#state === 'failed') throw this.#error
    const records: LogRecord[] = []
    let held = 0
    // `taken` counts the bytes of decompressed records, which may be many more than the bytes of their batch.
    let taken = 0
    while (taken < STEP_BYTES && records.length < STEP_RECORDS) {
      const open = this.#open ?? this.#openNext()
      if (open === null) break
      if (this.#open === null) {
        held += open.heldBytes
        taken += open.reader.bytes
      }
      const { reader, nextOffset } = open
      // The first batch of a fetch may begin below the requested offset. After compaction it may even end
      // below it.
      if (nextOffset <= this.#position) continue
      this.#open = open
      reader.read(records, STEP_RECORDS - records.length)
      const next = reader.isDone ? nextOffset : (records.at(-1)?.offset ?? 0) + 1
      this.#position = Math.max(this.#position, next)
      if (reader.isDone) this.#open = null
    }
    // A batch that is open has at least one record.
    if (held === 0 && records.length === 0) return null
    const wasHungry = this.hungry
    this.#bytes -= held
    if (!wasHungry && this.hungry) this.#onHungry()
    return { records, nextOffset: this.#position, isPart: this.#open !== null, end: this.#end }
  }

  /** Opens the next batch of the first segment; null if there is none. */
  #openNext(): TakenBatch | null {
    const [segment] = this.#segments
    const frame = segment?.frames[this.#taken]
    if (segment === undefined || frame === undefined) return null
    const reader = openBatch(segment.buffer, frame, this.#position)
    this.#taken += 1
    if (this.#taken === segment.frames.length) {
      this.#segments.shift()
      this.#taken = 0
    }
    return { reader, nextOffset: frame.nextOffset, heldBytes: frame.end - frame.at }
  }
}
