/**
 * How many requests of a partition may be under way since its destination throttled. On throttling it becomes
 * half of the requests that the destination served since it last throttled, or of those under way, whichever
 * is fewer, and at least one. It grows by one for each request that is served since (PROTOCOL.md §8).
 *
 * So an API that takes some requests goes on with about as many. An API that takes none gets one request at a
 * time.
 */
import type { UnownedAttempt } from '../ledger/request-history.ts'

const THROTTLED_LONGEST_MS = 3_600_000

export class ThrottleWindow {
  readonly #concurrency: number
  /** Null while the limits alone decide. */
  #size: number | null = null
  /** When the destination throttled last, by `performance.now()`, and how many requests it served since. */
  #narrowedAtMs = -Infinity
  #servedSince = 0
  /** Since when no request arrived. */
  #throttledSince: number | null = null

  constructor(concurrency: number) {
    this.#concurrency = concurrency
  }

  get isOpen(): boolean {
    return this.#size === null
  }

  /** True while the destination throttles all that comes. */
  get isThrottled(): boolean {
    return this.#throttledSince !== null
  }

  /** How many more requests may be under way. */
  room(underWay: number): number {
    return this.#size === null ? Infinity : this.#size - underWay
  }

  /**
   * A request was throttled, or some of its rows were. True if the destination has throttled for an hour
   * without one success.
   */
  throttled(attempt: UnownedAttempt, sentAtMs: number, underWay: number): boolean {
    const nowMs = performance.now()
    if (hasArrived(attempt)) this.#throttledSince = null
    // A request that was under way when the destination throttled tells nothing new.
    if (sentAtMs > this.#narrowedAtMs) {
      this.#narrowedAtMs = nowMs
      this.#size = Math.max(1, Math.floor(Math.min(this.#servedSince, underWay) / 2))
      this.#servedSince = 0
    }
    this.#throttledSince ??= nowMs
    return nowMs - this.#throttledSince >= THROTTLED_LONGEST_MS
  }

  /**
   * A request was not throttled, so the destination may take more of them. True if the window is gone with
   * it.
   */
  served(attempt: UnownedAttempt): boolean {
    if (hasArrived(attempt)) this.#throttledSince = null
    this.#servedSince += 1
    if (this.#size === null) return false
    this.#size += 1
    if (this.#size <= this.#concurrency) return false
    this.#size = null
    return true
  }
}

/** True if some row of it arrived. */
export function hasArrived({ outcome, rows }: UnownedAttempt): boolean {
  return outcome === 'delivered' || rows.some(row => row.outcome === 'delivered')
}
