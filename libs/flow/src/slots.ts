/**
 * Slots for work that takes memory: so many pieces of it are under way at once, in the order in which they
 * asked. A piece that has its slot for longer than `overdueMs` stops counting. So slow work, which mostly
 * waits, never delays other work for longer than that.
 */
import { abortable, type Abortable } from './abortable.ts'

export class Slots {
  readonly #most: number
  readonly #overdueMs: number
  readonly #waiting: (() => void)[] = []
  #taken = 0

  constructor(of: { readonly most: number; readonly overdueMs: number }) {
    this.#most = of.most
    this.#overdueMs = of.overdueMs
  }

  /** Waits for a slot. The slot is free again once it is disposed. Rejects with the signal's reason. */
  async take(options: Abortable): Promise<Disposable> {
    options.signal.throwIfAborted()
    const free = this.tryTake()
    if (free !== null) return free
    await this.#turn(options)
    return this.#held()
  }

  /** A slot if one is free now, else null. */
  tryTake(): Disposable | null {
    if (this.#taken >= this.#most) return null
    this.#taken += 1
    return this.#held()
  }

  #held(): Disposable {
    let held = true
    const release = (): void => {
      if (!held) return
      held = false
      clearTimeout(overdue)
      this.#handOn()
    }
    const overdue = setTimeout(release, this.#overdueMs)
    overdue.unref()
    return { [Symbol.dispose]: release }
  }

  /** The caller that waits longest has the slot from now on. */
  #handOn(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#taken -= 1
    else next()
  }

  /** Waits until a slot is handed on to this one. */
  async #turn(options: Abortable): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    try {
      await abortable(promise, options)
    } catch (error) {
      const place = this.#waiting.indexOf(resolve)
      // A caller that got its slot just when it gave up hands it on.
      if (place === -1) this.#handOn()
      else this.#waiting.splice(place, 1)
      throw error
    }
  }
}
