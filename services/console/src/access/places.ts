/** How many requests of one route may be under way: of all callers, and of each. */
import { SluiceError } from '@sluice/contracts/errors'

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
