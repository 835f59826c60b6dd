import type { Health } from '@sluice/domain/answers/health'
import type { Permits } from './destination-gate.ts'

/** No bound is needed from here on. */
const MAX_SIZE = 100

/**
 * Bounds how many requests a partition hands to the sender within one lease. A process that is busy, or whose
 * requests are large, gets only some of them to their connections before the lease ends. If it took as many
 * again, all of them could be late each time. So a lease with a late request halves the number, and each
 * request in time makes it one larger.
 */
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
    if (this.#size > MAX_SIZE) this.#size = Infinity
  }
}

/** Leave for one request: it ends as finished, or as given back unused. Only the first of the two counts. */
export class Permit {
  readonly #lease: Permits
  readonly #tell: ReturnType<Burst['begin']>
  #isOver = false

  /** `tell` is told whether it was used in time. */
  constructor(lease: Permits, tell: ReturnType<Burst['begin']>) {
    this.#lease = lease
    this.#tell = tell
  }

  get useBeforeMs(): number {
    return this.#lease.useBeforeMs
  }

  finish(health: Health): void {
    if (!this.#ends()) return
    this.#tell('in time')
    this.#lease.finished(health)
  }

  giveBack(): void {
    if (this.#ends()) this.#lease.unused(1)
  }

  /** The same, since it could not be used in time. */
  late(): void {
    if (!this.#ends()) return
    this.#tell('late')
    this.#lease.late()
  }

  #ends(): boolean {
    const ends = !this.#isOver
    this.#isOver = true
    return ends
  }
}
