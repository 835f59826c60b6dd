/**
 * A map that keeps the entries that were used last, up to a total weight. It is for values that can be read
 * or computed again. Reading counts as use.
 */
export class RecentMap<K, V> {
  readonly #limit: number
  readonly #weightOf: (value: V) => number
  readonly #onForgotten: (key: K, value: V) => void
  /** The entries in the order of their last use. */
  readonly #entries = new Map<K, V>()
  #weight = 0

  /** Without `weightOf`, an entry weighs 1. The last entry stays, whatever it weighs. */
  constructor(options: {
    readonly limit: number
    readonly weightOf?: (value: V) => number
    readonly onForgotten?: (key: K, value: V) => void
  }) {
    this.#limit = options.limit
    this.#weightOf = options.weightOf ?? (() => 1)
    this.#onForgotten = options.onForgotten ?? (() => undefined)
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
