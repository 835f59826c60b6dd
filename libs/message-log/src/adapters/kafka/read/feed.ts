import { Notifier } from '@sluice/flow/notifier'
import type { LogRecord, ReadBatch, TopicPartition } from '../../../port.ts'
import { name } from '../cluster.ts'
import { framesOf, openBatch, type BatchReader, type Frame } from './decode-batch.ts'
import type { Waiting } from '../stalls.ts'

/**
 * A reader gets about this many records or bytes at a time, if that much is there. Single batches may be
 * tiny, and a large one comes in parts: objects that wait long for their turn are moved about by V8.
 */
const STEP_RECORDS = 500
const STEP_BYTES = 256 * 1024

/**
 * The most that one answer brings for one partition, so that a partition with a large buffer does not delay
 * the others in the same answer.
 */
const FETCH_BYTES = 1024 * 1024

interface TakenBatch {
  readonly reader: BatchReader
  /** Where reading goes on behind it. */
  readonly nextOffset: number
  /** What it was counted with while it waited. */
  readonly heldBytes: number
}

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
  #stretches: { readonly buffer: Buffer; readonly frames: readonly Frame[] }[] = []
  /** How many batches of the first stretch were taken. */
  #taken = 0
  /** The batch that is being taken. */
  #open: TakenBatch | null = null
  #bytes = 0
  /** The batch that was fetched again, since its checksum did not fit. */
  #fetchedAgain = -1
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
   * were any. A batch whose checksum does not fit is fetched once more, since the network may have damaged
   * it. Throws ConnectionLost if the bytes are no batches.
   */
  put(batches: Buffer): boolean {
    if (!this.open) return false
    const all = framesOf(batches, this.fetchOffset)
    const frames = all.slice(0, this.#firstToFetchAgain(all))
    const last = frames.at(-1)
    if (last === undefined) return all.length > 0
    this.fetchOffset = Math.max(this.fetchOffset, last.nextOffset)
    this.#stretches.push({ buffer: Buffer.from(batches.subarray(0, last.end)), frames })
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

  fail(error: unknown): void {
    if (!this.open) return
    this.#state = 'failed'
    this.#error = error
    this.#stretches = []
    this.#open = null
    this.filled.notify()
  }

  close(): void {
    this.#state = 'closed'
    this.#stretches = []
    this.#open = null
    this.filled.notify()
  }

  /** The next records, or null if it holds none now. Throws the error with which the feed failed. */
  take(): ReadBatch | null {
    if (this.#state === 'failed') throw this.#error
    const records: LogRecord[] = []
    let held = 0
    // By the bytes of the records: a compressed batch may have many more of them than it takes up.
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
    // A batch that is begun has a record at least.
    if (held === 0 && records.length === 0) return null
    const wasHungry = this.hungry
    this.#bytes -= held
    if (!wasHungry && this.hungry) this.#onHungry()
    return { records, nextOffset: this.#position, isPart: this.#open !== null }
  }

  /** Opens the next batch of the first stretch. Null if there is none. */
  #openNext(): TakenBatch | null {
    const [stretch] = this.#stretches
    const frame = stretch?.frames[this.#taken]
    if (stretch === undefined || frame === undefined) return null
    const reader = openBatch(stretch.buffer, frame, this.#position)
    this.#taken += 1
    if (this.#taken === stretch.frames.length) {
      this.#stretches.shift()
      this.#taken = 0
    }
    return { reader, nextOffset: frame.nextOffset, heldBytes: frame.end - frame.at }
  }
}
