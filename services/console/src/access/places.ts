/** How many requests may be under way: of one route, and what one caller reads. */
import { SluiceError } from '@sluice/contracts/errors'
import { nextTurn } from '@sluice/flow/sleep'
import { Slots } from '@sluice/flow/slots'

/** The caller may ask again soon. */
export class Busy extends SluiceError {
  constructor(message: string) {
    super('conflict', message, { retryable: true })
  }
}

export class Places {
  readonly #most: number
  readonly #mostOfOne: number
  readonly #of = new Map<string, number>()
  #all = 0

  constructor({
    atOnce = Infinity,
    atOncePerCaller = atOnce,
  }: {
    atOnce?: number
    atOncePerCaller?: number
  }) {
    this.#most = atOnce
    this.#mostOfOne = atOncePerCaller
  }

  /** Takes a place, and gives what gives it back. Throws `Busy` if there is none. */
  take(caller: string): () => void {
    const own = this.#of.get(caller) ?? 0
    if (own >= this.#mostOfOne)
      throw new Busy(`${own} such requests of yours are under way: wait until one has ended.`)
    if (this.#all >= this.#most) throw new Busy(`${this.#all} such requests are under way: try again soon.`)
    this.#all += 1
    this.#of.set(caller, own + 1)
    return () => this.#giveBack(caller)
  }

  #giveBack(caller: string): void {
    this.#all -= 1
    const own = (this.#of.get(caller) ?? 1) - 1
    if (own > 0) this.#of.set(caller, own)
    else this.#of.delete(caller)
  }
}

/** Most reads of one caller that are worked on at once. */
const MAX_READS = 4
/** A read that takes longer mostly waits for something else. Then the next one begins. */
const OVERDUE_MS = 500
/** Most reads of one caller that are under way, or wait for their turn. */
const MAX_WAITING = 200

/**
 * The turns of callers who read. Each caller's reads are worked on a few at a time, so that many of them keep
 * nobody else waiting.
 */
export class Turns {
  readonly #of = new Map<string, { readonly slots: Slots; count: number }>()

  /** Waits for a turn, which ends when it is disposed. Throws `Busy` if too many of the caller wait. */
  async take(caller: string, signal: AbortSignal): Promise<Disposable> {
    const known = this.#of.get(caller)
    const own = known ?? { slots: new Slots({ most: MAX_READS, overdueMs: OVERDUE_MS }), count: 0 }
    if (own.count >= MAX_WAITING)
      throw new Busy(`${own.count} requests of yours are under way: wait until some have ended.`)
    this.#of.set(caller, own)
    own.count += 1
    const leave = (): void => {
      own.count -= 1
      if (own.count === 0) this.#of.delete(caller)
    }
    try {
      const slot = await own.slots.take({ signal })
      // Between two reads of one caller, others have their turn.
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
