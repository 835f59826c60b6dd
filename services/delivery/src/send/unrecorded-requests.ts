/**
 * Bounds the unrecorded requests of one process: those that are sent without an acknowledged attempt (R7,
 * PROTOCOL.md §8). A request frees its slot of the concurrency with its answer, and is unrecorded until its
 * attempt is acknowledged. Each limit allows twice as many unrecorded requests as it has slots. So a crash
 * repeats at most twice as many requests as the concurrency, and no answer waits for the log.
 */
import { Notifier } from '@sluice/flow/notifier'
import type { LimitScope } from '@sluice/rate-limit/port'

const UNRECORDED_PER_SLOT = 2

type Limits = readonly Pick<LimitScope, 'name' | 'concurrency'>[]

/** The unrecorded requests of one process. Its partitions share them. */
export class UnrecordedRequests {
  readonly #counts = new Map<string, number>()
  /** Notifies whenever an attempt is acknowledged. */
  readonly changes = new Notifier()

  /** Returns the number of further requests that may be sent within all these limits. */
  room(limits: Limits): number {
    let left = Infinity
    for (const { name, concurrency } of limits)
      left = Math.min(left, concurrency * UNRECORDED_PER_SLOT - (this.#counts.get(name) ?? 0))
    return Math.max(0, left)
  }

  /**
   * Counts a request with each of these limits. Returns a function that takes the request out of the count.
   * Only its first call has an effect.
   */
  add(limits: Limits): () => void {
    let isUnrecorded = true
    for (const { name } of limits) this.#change(name, 1)
    return () => {
      if (!isUnrecorded) return
      isUnrecorded = false
      for (const { name } of limits) this.#change(name, -1)
      this.changes.notify()
    }
  }

  #change(name: string, by: 1 | -1): void {
    const count = (this.#counts.get(name) ?? 0) + by
    if (count === 0) this.#counts.delete(name)
    else this.#counts.set(name, count)
  }
}
