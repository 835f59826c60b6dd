/**
 * What one process has sent and not yet written down. A request takes a place with each limit of its
 * destination before it is sent, and keeps it until its attempt is acknowledged. There are twice as many
 * places as the limit has slots. A slot is free with the answer already. So a crash repeats no more requests
 * than twice the concurrency, and no answer waits for the log (R7, PROTOCOL.md §8).
 */
import { Notifier } from '@sluice/flow/notifier'
import type { LimitScope } from '@sluice/rate-limit/port'

const PLACES_PER_SLOT = 2

type Limits = readonly Pick<LimitScope, 'name' | 'concurrency'>[]

/** Of all partitions of a process. */
export class Places {
  readonly #taken = new Map<string, number>()
  /** Notifies whenever a place becomes free. */
  readonly changes = new Notifier()

  /** How many more requests may be sent within all these limits. */
  left(limits: Limits): number {
    let left = Infinity
    for (const { name, concurrency } of limits)
      left = Math.min(left, concurrency * PLACES_PER_SLOT - (this.#taken.get(name) ?? 0))
    return Math.max(0, left)
  }

  /** Takes a place with each of the limits. Gives what frees them; only its first call counts. */
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
