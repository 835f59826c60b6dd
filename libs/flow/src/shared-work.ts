import { abortable, type Abortable } from './abortable.ts'

interface UnderWay<T> {
  readonly done: Promise<T>
  readonly stop: AbortController
  waiting: number
}

/**
 * Work that is done once for all callers that want it at the same time. A caller that asks while it is under
 * way waits for it with the others. When the last caller has gone, the work is aborted. A failure reaches
 * every caller that waits, and the next caller begins the work again.
 */
export class SharedWork<T> {
  readonly #work: (options: Abortable) => Promise<T>
  #underWay: UnderWay<T> | null = null

  constructor(work: (options: Abortable) => Promise<T>) {
    this.#work = work
  }

  /**
   * True while the work is under way. A caller that asks now joins the others, and may get a result from
   * before it asked.
   */
  get isUnderWay(): boolean {
    return this.#underWay !== null
  }

  /**
   * Begins the work, unless it is under way, and waits for it. Rejects as the work does, or with the signal's
   * reason.
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
