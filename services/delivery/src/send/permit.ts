/**
 * The permission to send one request, from a lease. Also the number of requests for which one lease is used.
 */
import type { Health } from '@sluice/domain/answers/health'

/** A burst that has grown beyond this is unbounded again. */
const MAX_SIZE = 100

/**
 * The end of a permit: `unused`, `late` (the request could not be sent in time), or the health of the
 * destination by the answer to the request.
 */
export type PermitEnd = Health | 'unused' | 'late'

/**
 * Bounds how many requests a partition sends within one lease. A busy process, or one with large requests,
 * gets only some of them to their connections before the lease ends. If the next lease had as many requests,
 * all could be late each time. So a lease with a late request halves the number, and each request in time
 * raises it by one.
 */
export class Burst {
  #size = Infinity

  /** True after a lease with a late request, until the bound has grown beyond its limit. */
  get isBounded(): boolean {
    return this.#size !== Infinity
  }

  get size(): number {
    return this.#size
  }

  /**
   * Begins a lease of this many permits. The caller calls the returned function at the end of each permit.
   */
  begin(permits: number): (end: PermitEnd) => void {
    let used = permits
    let isHalved = false
    return end => {
      if (end === 'unused') used -= 1
      else if (end !== 'late') this.#grow()
      else if (!isHalved) {
        isHalved = true
        this.#size = Math.max(1, Math.floor(Math.min(this.#size, used) / 2))
      }
    }
  }

  #grow(): void {
    this.#size += 1
    if (this.#size > MAX_SIZE) this.#size = Infinity
  }
}

/** Permission to send one request, which has to reach its socket before `useBeforeMs` (by `elapsedMs`). */
export class Permit {
  readonly useBeforeMs: number
  #onEnd: ((end: PermitEnd) => void) | null

  constructor(useBeforeMs: number, onEnd: (end: PermitEnd) => void) {
    this.useBeforeMs = useBeforeMs
    this.#onEnd = onEnd
  }

  /** Ends the permission. Only the first call counts. */
  end(as: PermitEnd): void {
    const onEnd = this.#onEnd
    this.#onEnd = null
    onEnd?.(as)
  }
}
