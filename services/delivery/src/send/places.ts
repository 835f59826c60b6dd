/**
 * Bounds the requests that one process has sent without an acknowledged attempt (R7, PROTOCOL.md §8). A
 * request takes a place with each limit of its destination before it is sent, and keeps it until its attempt
 * is acknowledged. A slot of the limit is free with the answer already. There are twice as many places as
 * slots. So a crash repeats at most twice as many requests as the concurrency, and no answer waits for the
 * log.
 */
import { Notifier } from '@sluice/flow/notifier'
import type { LimitScope } from '@sluice/rate-limit/port'

const PLACES_PER_SLOT = 2

type Limits = readonly Pick<LimitScope, 'name' | 'concurrency'>[]

/** The places of one process, shared by its partitions. */
export class Places {
  readonly #taken = new Map<string, number>()
  /** Notifies whenever a place becomes free. */
  readonly changes = new Notifier()

  /** Returns the number of further requests that may be sent within all these limits. */
  left(limits: Limits): number {
    let left = Infinity
    for (const { name, concurrency } of limits)
      left = Math.min(left, concurrency * PLACES_PER_SLOT - (this.#taken.get(name) ?? 0))
    return Math.max(0, left)
  }

  /**
   * Takes a place with each of the limits. Returns a function that frees them. Only its first call counts.
   */
  take(limits: Limits): () => void {
    let isTaken = true
    for (const { name } of limits) this.#change(name, 1)
    return () => {
      if (!isTaken) return
      isTaken = false
      for (const { name } of limits) this.#change(name, -1)
      this.changes.notify()
    }
  }

  #change(name: string, by: 1 | -1): void {
    const taken = (this.#taken.get(name) ?? 0) + by
    if (taken === 0) this.#taken.delete(name)
    else this.#taken.set(name, taken)
  }
}
