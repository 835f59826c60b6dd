/** Values of secrets that a process has met, to be masked in all that it logs. */

/** Tokens come and go: the oldest of so many values are forgotten. */
const MOST_VALUES = 500

export class KnownValues {
  readonly #fixed: number
  readonly #values: string[]

  /** `fixed` are known from the start, and never forgotten. */
  constructor(fixed: readonly string[]) {
    this.#values = [...fixed]
    this.#fixed = fixed.length
  }

  /** The list, which grows: give it to what masks. */
  get all(): readonly string[] {
    return this.#values
  }

  /** A value that is met again is not forgotten before others. */
  add(value: string): void {
    if (value === '') return
    const place = this.#values.indexOf(value)
    // Each move makes what masks begin anew, so the younger half stays where it is.
    if (place >= 0 && (place < this.#fixed || place > this.#values.length - MOST_VALUES / 2)) return
    if (place >= 0) this.#values.splice(place, 1)
    if (this.#values.length - this.#fixed >= MOST_VALUES) this.#values.splice(this.#fixed, 1)
    this.#values.push(value)
  }
}
