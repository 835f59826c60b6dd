/** Values of secrets that a process has met, to be masked in all that it logs. */

/** Tokens come and go: the oldest of so many values are forgotten. */
const MAX_VALUES = 500
/** Of values that were met again, so many are not forgotten before others. */
const MAX_AGAIN = 250

export class KnownValues {
  readonly #fixed: number
  /** In the order in which they were met: what masks knows by the end of the list that it has grown. */
  readonly #values: string[]
  readonly #again = new Set<string>()

  /** `fixed` are known from the start, and never forgotten. */
  constructor(fixed: readonly string[]) {
    this.#values = [...fixed]
    this.#fixed = fixed.length
  }

  /** The list, which grows: give it to what masks. */
  get all(): readonly string[] {
    return this.#values
  }

  /**
   * A value that is met again, as a secret is with each run, stays longer than tokens, which are met once.
   */
  add(value: string): void {
    if (value === '') return
    const place = this.#values.indexOf(value)
    if (place >= this.#fixed) this.#keep(value)
    if (place >= 0) return
    if (this.#values.length - this.#fixed >= MAX_VALUES) this.#values.splice(this.#oldest(), 1)
    this.#values.push(value)
  }

  #keep(value: string): void {
    this.#again.delete(value)
    this.#again.add(value)
    for (const oldest of this.#again) if (this.#again.size > MAX_AGAIN) this.#again.delete(oldest)
  }

  #oldest(): number {
    return this.#values.findIndex((value, place) => place >= this.#fixed && !this.#again.has(value))
  }
}
