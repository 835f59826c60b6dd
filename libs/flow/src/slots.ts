/**
 * Limits how many pieces of work that takes memory are under way at once. Slots go out in the order of the
 * calls. A piece that has its slot for longer than `overdueMs` stops counting, since slow work mostly waits,
 * and must not delay other work for longer.
 */
import { abortable, type Abortable } from './abortable.ts'

export class Slots {
  readonly #most: number
  readonly #overdueMs: number
  readonly #waiting: (() => void)[] = []
  #taken = 0

  constructor({ most, overdueMs }: { readonly most: number; readonly overdueMs: number }) {
    this.#most = most
    this.#overdueMs = overdueMs
  }

  /** Waits for a slot, which is free again once disposed. Rejects with the signal's reason. */
  async take(options: Abortable): Promise<Disposable> {
    options.signal.throwIfAborted()
    const free = this.tryTake()
    if (free !== null) return free
    await this.#turn(options)
    return this.#held()
  }

  /** Returns a slot if one is free now, else null. */
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

  /** Gives the slot to the caller that has waited longest. */
  #handOn(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#taken -= 1
    else next()
  }

  /** Waits until a slot is handed on to this caller. */
  async #turn(options: Abortable): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    try {
      await abortable(promise, options)
    } catch (error) {
      const place = this.#waiting.indexOf(resolve)
      // A caller that got its slot while it gave up hands it on.
      if (place === -1) this.#handOn()
      else this.#waiting.splice(place, 1)
      throw error
    }
  }
}
