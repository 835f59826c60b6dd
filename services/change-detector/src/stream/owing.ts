/**
 * What a stream owes to its topics: by slice, the keys whose entries are not in `changes` yet. They are held
 * back, or their changes are not acknowledged. A successor has to read from the beginning of the oldest slice
 * that owes something. It is pure.
 */
interface Slice<P> {
  readonly start: P
  /** How many keys it owes. */
  owed: number
}

export class Owing<P> {
  readonly #slices = new Map<number, Slice<P>>()
  /** By key, the slices that owe it, in ascending order. */
  readonly #byKey = new Map<string, number[]>()

  /** How many slices are kept. */
  get size(): number {
    return this.#slices.size
  }

  /**
   * Adds the newest slice: `start` is the position at which its entries begin. A slice without keys owes
   * nothing.
   */
  add(slice: number, { start, keys }: { readonly start: P; readonly keys: ReadonlySet<string> }): void {
    if (keys.size === 0) return
    this.#slices.set(slice, { start, owed: keys.size })
    for (const key of keys) {
      const slices = this.#byKey.get(key)
      if (slices === undefined) this.#byKey.set(key, [slice])
      else slices.push(slice)
    }
  }

  /**
   * The change of a key is acknowledged, or it needs none, as the source had the key in slice `to`. Slices up
   * to that one owe it no more. A later slice may owe it again.
   */
  pay(key: string, to: number): void {
    const slices = this.#byKey.get(key)
    if (slices === undefined) return
    const left = slices.filter(slice => slice > to)
    for (const slice of slices) {
      const owing = this.#slices.get(slice)
      if (owing !== undefined && slice <= to) owing.owed -= 1
    }
    if (left.length === 0) this.#byKey.delete(key)
    else this.#byKey.set(key, left)
  }

  /** Returns where a successor has to read on, if `now` is how far this process has read. */
  from(now: P): P {
    for (const [slice, { start, owed }] of this.#slices) {
      if (owed > 0) return start
      this.#slices.delete(slice)
    }
    return now
  }
}
