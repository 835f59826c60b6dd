import { abortable, type Abortable } from './abortable.ts'

interface UnderWay<T> {
  readonly done: Promise<T>
  readonly stop: AbortController
  waiting: number
}

/**
 * Work that several callers want at the same time, and that is done once. A caller that asks while it is
 * under way waits for it with the others. The work lives for as long as a caller waits, and is aborted when
 * the last one has gone. So no caller's end is the end of another's wait. A failure reaches every caller that
 * waits; the next caller begins the work again.
 */
export class SharedWork<T> {
  readonly #work: (options: Abortable) => Promise<T>
  #underWay: UnderWay<T> | null = null

  constructor(work: (options: Abortable) => Promise<T>) {
    this.#work = work
  }

  /**
   * True while the work is being done. A caller that asks now joins others, and may get what was there before
   * it asked.
   */
  get isUnderWay(): boolean {
    return this.#underWay !== null
  }

  /**
   * Waits for the work, which begins unless it is under way. Rejects as it does, or with the signal's reason.
   */
  async done(options: Abortable): Promise<T> {
    options.signal.throwIfAborted()
    const joined = this.#underWay ?? this.#begin()
    joined.waiting += 1
    try {
      return await abortable(joined.done, options)
    } finally {
      joined.waiting -= 1
      if (joined.waiting === 0) this.#leave(joined)
    }
  }

  #begin(): UnderWay<T> {
    const stop = new AbortController()
    const begun = { done: this.#work({ signal: stop.signal }), stop, waiting: 0 }
    this.#underWay = begun
    const over = (): void => {
      if (this.#underWay === begun) this.#underWay = null
    }
    begun.done.then(over, over)
    return begun
  }

  /** The next caller does not join work that is being aborted. */
  #leave(left: UnderWay<T>): void {
    if (this.#underWay === left) this.#underWay = null
    left.stop.abort(new Error('nobody waits for it any more'))
  }
}
