/** Limits of the requests under way: `RequestLimit` for one route, `Turns` for the reads of one caller. */
import { SluiceError } from '@sluice/contracts/errors'
import { nextTurn } from '@sluice/flow/sleep'
import { Slots } from '@sluice/flow/slots'

/** Too many requests are under way. The caller may ask again soon. */
export class Busy extends SluiceError {
  constructor(message: string) {
    super('conflict', message, { retryable: true })
  }
}

export class RequestLimit {
  readonly #max: number
  readonly #maxPerCaller: number
  readonly #taken = new Map<string, number>()
  #all = 0

  constructor({
    atOnce = Infinity,
    atOncePerCaller = atOnce,
  }: {
    atOnce?: number
    atOncePerCaller?: number
  }) {
    this.#max = atOnce
    this.#maxPerCaller = atOncePerCaller
  }

  /**
   * Counts a request of the caller. Returns a function that ends this. Throws `Busy` if the limit is reached.
   */
  take(caller: string): () => void {
    const own = this.#taken.get(caller) ?? 0
    if (own >= this.#maxPerCaller)
      throw new Busy(`${own} such requests of yours are under way: wait until one has ended.`)
    if (this.#all >= this.#max) throw new Busy(`${this.#all} such requests are under way: try again soon.`)
    this.#all += 1
    this.#taken.set(caller, own + 1)
    return () => this.#giveBack(caller)
  }

  #giveBack(caller: string): void {
    this.#all -= 1
    const own = (this.#taken.get(caller) ?? 1) - 1
    if (own > 0) this.#taken.set(caller, own)
    else this.#taken.delete(caller)
  }
}

/** The most reads of one caller at work at once. */
const MAX_READS = 4
/** A read that takes longer mostly waits for something else, so the next one may begin. */
const OVERDUE_MS = 500
/** The most reads of one caller that are at work or wait for their turn. */
const MAX_WAITING = 200

/**
 * Serves the reads of each caller a few at a time, so that a caller with many keeps nobody else waiting.
 */
export class Turns {
  readonly #callers = new Map<string, { readonly slots: Slots; count: number }>()

  /** Waits for a turn, which ends when it is disposed. Throws `Busy` if too many reads of the caller wait. */
  async take(caller: string, signal: AbortSignal): Promise<Disposable> {
    const known = this.#callers.get(caller)
    const own = known ?? { slots: new Slots({ most: MAX_READS, overdueMs: OVERDUE_MS }), count: 0 }
    if (own.count >= MAX_WAITING)
      throw new Busy(`${own.count} requests of yours are under way: wait until some have ended.`)
    this.#callers.set(caller, own)
    own.count += 1
    const leave = (): void => {
      own.count -= 1
      if (own.count === 0) this.#callers.delete(caller)
    }
    try {
      const slot = await own.slots.take({ signal })
      // Other callers have their turn between two reads of one caller.
      await nextTurn()
      return {
        [Symbol.dispose]: () => {
          slot[Symbol.dispose]()
          leave()
        },
      }
    } catch (error) {
      leave()
      throw error
    }
  }
}
