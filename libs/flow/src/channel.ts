import type { Abortable } from './abortable.ts'
import { Notifier } from './notifier.ts'

/** What `take` gives once the channel is closed and empty. */
export const CLOSED = Symbol('closed')

interface Entry<T> {
  readonly item: T
  readonly size: number
}

export interface ChannelOptions<T> {
  /** Most bytes held. One item is let in whatever its size, as long as nothing else is held. */
  readonly limitBytes: number
  readonly sizeOf: (item: T) => number
}

/**
 * A queue between producers that wait when it is full and consumers that wait when it is empty. States: open
 * → closed (no more puts; what is held can still be taken) or open → failed (what is held is dropped, every
 * call rejects with the error). Items leave in the order in which `put` was called; any number of both sides
 * may wait at once.
 */
export class Channel<T> implements AsyncIterable<T> {
  readonly #limitBytes: number
  readonly #sizeOf: (item: T) => number
  readonly #changes = new Notifier()
  #entries: (Entry<T> | undefined)[] = []
  #head = 0
  #bytes = 0
  #state: 'open' | 'closed' | 'failed' = 'open'
  #error: unknown
  /** Tickets keep waiting producers in order: a small late item must not overtake a large early one. */
  #nextTicket = 0
  #waitingTickets: number[] = []

  constructor(options: ChannelOptions<T>) {
    this.#limitBytes = options.limitBytes
    this.#sizeOf = options.sizeOf
  }

  /** Bytes of the items put and not yet taken. */
  get bytes(): number {
    return this.#bytes
  }

  /** Number of items put and not yet taken. */
  get length(): number {
    return this.#entries.length - this.#head
  }

  /**
   * Waits for room, then adds the item. Rejects with the signal's reason (the item is not added), with the
   * error given to `fail`, or, once closed, with an Error: a put after `close` is a bug of the caller.
   */
  async put(item: T, options: Abortable): Promise<void> {
    options.signal.throwIfAborted()
    const size = this.#sizeOf(item)
    const ticket = this.#nextTicket++
    this.#waitingTickets.push(ticket)
    try {
      for (;;) {
        const seen = this.#changes.version
        this.#assertOpen()
        if (this.#waitingTickets[0] === ticket && this.#fits(size)) break
        await this.#changes.after(seen, options)
      }
      this.#add(item, size)
    } finally {
      this.#waitingTickets.splice(this.#waitingTickets.indexOf(ticket), 1)
      this.#changes.notify()
    }
  }

  /** Adds the item if there is room at once and nobody waits for it; returns whether it did. */
  tryPut(item: T): boolean {
    this.#assertOpen()
    const size = this.#sizeOf(item)
    if (this.#waitingTickets.length > 0 || !this.#fits(size)) return false
    this.#add(item, size)
    this.#changes.notify()
    return true
  }

  /**
   * Waits for an item and removes it; gives CLOSED once the channel is closed and empty. Rejects as `put`
   * does.
   */
  async take(options: Abortable): Promise<T | typeof CLOSED> {
    options.signal.throwIfAborted()
    for (;;) {
      const seen = this.#changes.version
      if (this.#state === 'failed') throw this.#error
      const entry = this.#shift()
      if (entry !== undefined) return entry.item
      if (this.#state === 'closed') return CLOSED
      await this.#changes.after(seen, options)
    }
  }

  /** No more puts; takers get what is held, then CLOSED. Idempotent; does nothing after `fail`. */
  close(): void {
    if (this.#state !== 'open') return
    this.#state = 'closed'
    this.#changes.notify()
  }

  /**
   * Drops what is held and lets every present and later call reject with the error. Only the first counts.
   */
  fail(error: unknown): void {
    if (this.#state === 'failed') return
    this.#state = 'failed'
    this.#error = error
    this.#entries = []
    this.#head = 0
    this.#bytes = 0
    this.#changes.notify()
  }

  /**
   * Takes until closed. It has no signal of its own: whoever may have to leave early uses `take`, or calls
   * `fail`.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    const never = new AbortController().signal
    for (;;) {
      const item = await this.take({ signal: never })
      if (item === CLOSED) return
      yield item
    }
  }

  #fits(size: number): boolean {
    return this.length === 0 || this.#bytes + size <= this.#limitBytes
  }

  #assertOpen(): void {
    if (this.#state === 'failed') throw this.#error
    if (this.#state === 'closed') throw new Error('put after close')
  }

  #add(item: T, size: number): void {
    this.#entries.push({ item, size })
    this.#bytes += size
  }

  #shift(): Entry<T> | undefined {
    const entry = this.#entries[this.#head]
    if (entry === undefined) return undefined
    // The slot is emptied at once, so that an item taken is not held until the array is cut.
    this.#entries[this.#head] = undefined
    this.#head += 1
    if (this.#head > 256 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
    this.#bytes -= entry.size
    this.#changes.notify()
    return entry
  }
}
