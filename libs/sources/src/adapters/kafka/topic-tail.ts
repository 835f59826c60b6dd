/**
 * Reads a partition as it grows, once for all readers of this process. Entries are decoded once and held
 * until the slowest reader has taken them. A reader that is far behind while another one waits goes on by
 * itself.
 *
 * States of a tail: reading → failed (its readers throw the error, and begin anew) or over (no reader is
 * left).
 */
import { Notifier } from '@sluice/flow/notifier'
import { shortTurn } from '@sluice/flow/sleep'
import type { LogRecord, MessageLog } from '@sluice/message-log/port'
import type { EntryDecoder } from './decode-entries.ts'
import type { Entry } from './entry.ts'

export interface TailedEntry {
  readonly entry: Entry
  /** The bytes of its record. */
  readonly bytes: number
}

interface Chunk {
  readonly entries: readonly TailedEntry[]
  readonly bytes: number
  /** The offset at which reading goes on behind the chunk. */
  readonly nextOffset: number
  next: Chunk | null
}

export interface TailOptions {
  readonly log: MessageLog
  readonly topic: string
  readonly partition: number
  /** Makes a decoder of its own for each tail. */
  readonly decoder: () => EntryDecoder
  /** The bytes of records that a tail holds at most, before it waits for its readers. */
  readonly limitBytes: number
}

/** The tails of one partition for models of one key and format. */
export class PartitionTails {
  /** Wakes the readers of the partition. */
  readonly changes: Notifier
  readonly #options: TailOptions
  readonly #tails = new Set<Tail>()

  constructor(options: TailOptions, changes: Notifier) {
    this.#options = options
    this.changes = changes
  }

  get isIdle(): boolean {
    return this.#tails.size === 0
  }

  /** Begins to read at an offset, which has to be between the low offset and the end. */
  cursor(from: number): TailCursor {
    return new TailCursor(offset => this.#join(offset), from)
  }

  #join(offset: number): Joined {
    for (const tail of this.#tails) {
      const place = tail.placeOf(offset)
      if (place !== null) return { tail, ...place }
    }
    const tail = new Tail(this.#options, offset, {
      onChange: () => this.changes.notify(),
      onEnd: ended => this.#tails.delete(ended),
    })
    this.#tails.add(tail)
    return { tail, chunk: tail.last, taken: tail.last.entries.length }
  }
}

interface Joined {
  readonly tail: Tail
  readonly chunk: Chunk
  readonly taken: number
}

/** The place of one reader in a partition. */
export class TailCursor {
  readonly #join: (offset: number) => Joined
  #tail: Tail | null = null
  #chunk: Chunk | null = null
  #taken = 0
  #offset: number
  #behindBytes = 0

  constructor(join: (offset: number) => Joined, offset: number) {
    this.#join = join
    this.#offset = offset
  }

  /** The offset of the next entry. */
  get offset(): number {
    return this.#offset
  }

  get end(): number {
    return Math.max(this.#offset, this.#tail?.end ?? 0)
  }

  /** Returns the next entry without passing it; null if there is none yet. Throws the error of the log. */
  peek(): TailedEntry | null {
    for (;;) {
      const { chunk, tail } = this.#joined()
      if (this.#taken < chunk.entries.length) return chunk.entries[this.#taken] ?? null
      this.#offset = Math.max(this.#offset, chunk.nextOffset)
      if (chunk.next === null) {
        tail.throwIfFailed()
        return null
      }
      this.#chunk = chunk.next
      this.#taken = 0
      tail.taken(this, chunk.next.bytes)
    }
  }

  /** The next entry, if it is decoded. */
  get held(): TailedEntry | null {
    return this.#chunk?.entries[this.#taken] ?? this.#chunk?.next?.entries[0] ?? null
  }

  /** Passes the entry that `peek` has returned. */
  pass({ entry }: TailedEntry): void {
    this.#taken += 1
    this.#offset = entry.at.offset + 1
  }

  /** The bytes that wait for this reader in its tail, without the chunk that it is at. */
  get behindBytes(): number {
    return this.#behindBytes
  }

  set behindBytes(bytes: number) {
    this.#behindBytes = bytes
  }

  /** Leaves the tail. The next `peek` goes on at the same entry. */
  leave(): void {
    this.#tail?.remove(this)
    this.#tail = null
    this.#chunk = null
  }

  /** A copy of the place, for a reader that begins at an offset which this one has not passed. */
  get place(): { readonly chunk: Chunk; readonly taken: number } | null {
    return this.#chunk === null ? null : { chunk: this.#chunk, taken: this.#taken }
  }

  #joined(): { readonly tail: Tail; readonly chunk: Chunk } {
    if (this.#tail !== null && this.#chunk !== null) return { tail: this.#tail, chunk: this.#chunk }
    const { tail, chunk, taken } = this.#join(this.#offset)
    this.#tail = tail
    this.#chunk = chunk
    this.#taken = taken
    tail.add(this, chunk)
    return { tail, chunk }
  }
}

class Tail {
  /** The newest chunk. The first one is empty. */
  last: Chunk
  end = 0
  readonly #options: TailOptions
  readonly #cursors = new Set<TailCursor>()
  readonly #over = new AbortController()
  readonly #room = new Notifier()
  readonly #onChange: () => void
  readonly #onEnd: (tail: Tail) => void
  #failure: { readonly error: unknown } | null = null

  constructor(
    options: TailOptions,
    from: number,
    on: { readonly onChange: () => void; readonly onEnd: (tail: Tail) => void },
  ) {
    this.#options = options
    this.#onChange = on.onChange
    this.#onEnd = on.onEnd
    this.last = { entries: [], bytes: 0, nextOffset: from, next: null }
    void this.#read(from)
  }

  add(cursor: TailCursor, at: Chunk): void {
    let behind = 0
    for (let chunk = at.next; chunk !== null; chunk = chunk.next) behind += chunk.bytes
    cursor.behindBytes = behind
    this.#cursors.add(cursor)
  }

  remove(cursor: TailCursor): void {
    this.#cursors.delete(cursor)
    this.#room.notify()
    if (this.#cursors.size === 0) this.#stop()
  }

  taken(cursor: TailCursor, bytes: number): void {
    cursor.behindBytes -= bytes
    this.#room.notify()
  }

  throwIfFailed(): void {
    if (this.#failure === null) return
    for (const cursor of [...this.#cursors]) cursor.leave()
    throw this.#failure.error
  }

  /** Returns the place of an offset that is still held; null if it is not. */
  placeOf(offset: number): { readonly chunk: Chunk; readonly taken: number } | null {
    if (this.#failure !== null) return null
    if (this.last.nextOffset === offset) return { chunk: this.last, taken: this.last.entries.length }
    for (const cursor of this.#cursors) {
      const { place } = cursor
      if (place === null || cursor.offset > offset || offset > this.last.nextOffset) continue
      for (let chunk: Chunk | null = place.chunk; chunk !== null; chunk = chunk.next) {
        if (offset > chunk.nextOffset) continue
        const index = chunk.entries.findIndex(({ entry }) => entry.at.offset >= offset)
        return { chunk, taken: index < 0 ? chunk.entries.length : index }
      }
    }
    return null
  }

  #stop(): void {
    this.#onEnd(this)
    this.#over.abort(new Error('no reader is left'))
  }

  async #read(from: number): Promise<void> {
    const { log, topic, partition, limitBytes, decoder: makeDecoder } = this.#options
    const { signal } = this.#over
    const decoder = makeDecoder()
    try {
      const reading = log.read({ topic, partition }, { from, signal, bufferBytes: limitBytes })
      for await (const { records, nextOffset, end } of reading) {
        await decoder.prepare(records, { signal })
        const entries: TailedEntry[] = []
        for (const record of records) {
          await shortTurn()
          entries.push({ entry: decoder.decode(record, partition), bytes: bytesOf(record) })
        }
        if (signal.aborted) return
        this.#push(entries, nextOffset)
        this.end = end ?? nextOffset
        this.#onChange()
        await this.#room.until(() => this.#hasRoom(), { signal })
      }
    } catch (error) {
      if (signal.aborted) return
      this.#failure = { error }
      this.#onEnd(this)
      this.#onChange()
    }
  }

  #push(entries: readonly TailedEntry[], nextOffset: number): void {
    const bytes = entries.reduce((sum, each) => sum + each.bytes, 0)
    const chunk = { entries, bytes, nextOffset, next: null }
    this.last.next = chunk
    this.last = chunk
    for (const cursor of this.#cursors) cursor.behindBytes += bytes
  }

  /** A reader that is far behind does not hold up one that waits. */
  #hasRoom(): boolean {
    const { limitBytes } = this.#options
    const slow = [...this.#cursors].filter(({ behindBytes }) => behindBytes > limitBytes)
    if (slow.length === 0) return true
    if (slow.length === this.#cursors.size || [...this.#cursors].every(({ behindBytes }) => behindBytes > 0))
      return false
    for (const cursor of slow) cursor.leave()
    return true
  }
}

function bytesOf({ key, value }: LogRecord): number {
  return key.length + (value?.length ?? 0)
}
