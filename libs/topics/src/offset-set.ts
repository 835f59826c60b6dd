/**
 * A set of offsets of one partition: a bit for each, so that millions of requests can be chosen in memory.
 */

const FIRST_BYTES = 1024

export class OffsetSet {
  readonly #low: number
  #bits = new Uint8Array(FIRST_BYTES)
  #size = 0

  /** No offset below `low` is ever added. */
  constructor(low: number) {
    this.#low = low
  }

  get size(): number {
    return this.#size
  }

  add(offset: number): void {
    const at = offset - this.#low
    const byte = Math.floor(at / 8)
    if (byte >= this.#bits.length) {
      const grown = new Uint8Array(Math.max(byte + 1, this.#bits.length * 2))
      grown.set(this.#bits)
      this.#bits = grown
    }
    const before = this.#bits[byte] ?? 0
    const after = before | (1 << (at % 8))
    if (after !== before) this.#size += 1
    this.#bits[byte] = after
  }

  has(offset: number): boolean {
    const at = offset - this.#low
    return at >= 0 && ((this.#bits[Math.floor(at / 8)] ?? 0) & (1 << (at % 8))) !== 0
  }
}
