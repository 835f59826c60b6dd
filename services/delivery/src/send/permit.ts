/**
 * The permission to send one request, from a lease, and the number of requests that one lease is used for.
 */
import type { Health } from '@sluice/domain/answers/health'
import type { Permits } from './destination-gate.ts'

/** A burst that has grown beyond this is unbounded again. */
const MAX_SIZE = 100

/**
 * Bounds how many requests a partition sends within one lease. A busy process, or one with large requests,
 * gets only some of them to their connections before the lease ends. With as many again, all could be late
 * each time. So a lease with a late request halves the number, and each request in time raises it by one.
 */
export class Burst {
  #size = Infinity

  /** True after a lease with a late request, until the bound has grown away. */
  get isBounded(): boolean {
    return this.#size !== Infinity
  }

  get size(): number {
    return this.#size
  }

  /** Begins a lease for so many requests. The caller calls the result at the end of each of them. */
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
    if (this.#size > MAX_SIZE) this.#size = Infinity
  }
}

/** Permission to send one request. It ends as finished, late or unused. Only the first of these counts. */
export class Permit {
  readonly #lease: Permits
  readonly #onEnd: ReturnType<Burst['begin']>
  #isOver = false

  constructor(lease: Permits, onEnd: ReturnType<Burst['begin']>) {
    this.#lease = lease
    this.#onEnd = onEnd
  }

  get useBeforeMs(): number {
    return this.#lease.useBeforeMs
  }

  finish(health: Health): void {
    if (!this.#ends()) return
    this.#onEnd('in time')
    this.#lease.finished(health)
  }

  giveBack(): void {
    if (this.#ends()) this.#lease.unused(1)
  }

  /** Gives it back, since the request could not be sent in time. */
  late(): void {
    if (!this.#ends()) return
    this.#onEnd('late')
    this.#lease.late()
  }

  /** Ends the permission. Returns false if it had ended before. */
  #ends(): boolean {
    const isFirst = !this.#isOver
    this.#isOver = true
    return isFirst
  }
}
