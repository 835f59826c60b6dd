/**
 * A map of the entries that were used last, up to a weight. It is for values that can be had again. Reading
 * counts as use.
 */
export class RecentMap<K, V> {
  readonly #limit: number
  readonly #weightOf: (value: V) => number
  readonly #onForgotten: (key: K, value: V) => void
  /** In the order of their last use. */
  readonly #entries = new Map<K, V>()
  #weight = 0

  /** `weightOf` gives what an entry counts, 1 where it is absent. The last entry stays whatever it weighs. */
  constructor(of: {
    readonly limit: number
    readonly weightOf?: (value: V) => number
    readonly onForgotten?: (key: K, value: V) => void
  }) {
    this.#limit = of.limit
    this.#weightOf = of.weightOf ?? (() => 1)
    this.#onForgotten = of.onForgotten ?? (() => undefined)
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  set(key: K, value: V): void {
    const known = this.#entries.get(key)
    if (known !== undefined) this.#weight -= this.#weightOf(known)
    this.#entries.delete(key)
    this.#entries.set(key, value)
    this.#weight += this.#weightOf(value)
    for (const [oldest, forgotten] of this.#entries) {
      if (this.#weight <= this.#limit || this.#entries.size === 1) return
      this.#entries.delete(oldest)
      this.#weight -= this.#weightOf(forgotten)
      this.#onForgotten(oldest, forgotten)
    }
  }
}
