/** The values of secrets that a process has seen. Its logs mask them. */

/** Beyond this many values, the oldest are forgotten, since tokens come and go. */
const MAX_VALUES = 500
/** Values that were seen twice or more outlive others, up to this many. */
const MAX_REPEATED = 250

export class KnownValues {
  readonly #fixed: number
  /**
   * The values in the order in which they were seen. `redactText` compares the last value to notice that the
   * list has grown.
   */
  readonly #values: string[]
  readonly #repeated = new Set<string>()

  /** The values `fixed` are known from the start, and never forgotten. */
  constructor(fixed: readonly string[]) {
    this.#values = [...fixed]
    this.#fixed = fixed.length
  }

  /** The list to mask with. It is always the same object, and grows. */
  get all(): readonly string[] {
    return this.#values
  }

  /**
   * Adds a value. A value that is seen again, as a secret is with each run, is kept longer than a token that
   * is seen once.
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
    this.#repeated.delete(value)
    this.#repeated.add(value)
    for (const oldest of this.#repeated) if (this.#repeated.size > MAX_REPEATED) this.#repeated.delete(oldest)
  }

  #oldest(): number {
    return this.#values.findIndex((value, place) => place >= this.#fixed && !this.#repeated.has(value))
  }
}
