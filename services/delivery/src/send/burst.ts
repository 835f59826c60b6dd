/**
 * How many requests a partition hands to the sender within one lease. A process that is busy, or whose
 * requests are large, gets only some of them to their connections before the lease ends. If it took as many
 * again, all of them could be late each time. So a lease with a late request halves the number, and each
 * request in time makes it one larger.
 */

/** No bound is needed from here on. */
const LARGEST = 100

export class Burst {
  #size = Infinity

  /** True once a lease had a late request, until as many as ever are in time. */
  get isBounded(): boolean {
    return this.#size !== Infinity
  }

  get size(): number {
    return this.#size
  }

  /** So many requests go out within one lease. Gives what is to be called for each of them. */
  begin(requests: number): (end: 'late' | 'in time') => void {
    let isHalved = false
    return end => {
      if (end === 'in time') this.#grow()
      else if (!isHalved) {
        isHalved = true
        this.#size = Math.max(1, Math.floor(Math.min(this.#size, requests) / 2))
      }
    }
  }

  #grow(): void {
    this.#size += 1
    if (this.#size > LARGEST) this.#size = Infinity
  }
}
