/**
 * How long a destination that throttles is left alone. The pause has a floor, whatever the answer says, and
 * grows for as long as every further try is throttled. The limits' store makes it hold for all processes.
 * Each process counts for itself: of several pauses, the one that ends last holds.
 */
import { doublingPause } from '@sluice/flow/retry'
import type { UnownedAttempt } from '../ledger/request-history.ts'

const MAX_THROTTLED_MS = 3_600_000

/**
 * How many requests of a partition may be under way since its destination throttled. On throttling it becomes
 * half of the requests that the destination served since it last throttled, or of those under way, whichever
 * is fewer, and at least one. It grows by one for each request that is served since (PROTOCOL.md §8).
 *
 * So an API that takes some requests goes on with about as many. An API that takes none gets one request at a
 * time.
 */
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
    return nowMs - this.#throttledSince >= MAX_THROTTLED_MS
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

/** The first pause, and the floor of all. */
const FIRST_PAUSE_MS = 1_000
/** The longest pause that no answer asked for, before jitter. */
const MAX_OWN_PAUSE_MS = 60_000
/** Up to this share of a pause is added at random, so that processes do not come back as one. */
const JITTER = 0.25

interface Throttled {
  /**
   * How often the destination throttled in a row. Answers to requests that were under way together count
   * once.
   */
  readonly times: number
  readonly sinceMs: number
}

/** Of all destinations that one process sends to; shared by its partitions. */
export class Throttles {
  readonly #random: () => number
  readonly #firstPauseMs: number
  readonly #throttled = new Map<string, Throttled>()

  /** `random` gives numbers from 0 to below 1; `firstPauseMs` is the floor, 1 s. */
  constructor(options: { readonly random?: () => number; readonly firstPauseMs?: number } = {}) {
    this.#random = options.random ?? Math.random
    this.#firstPauseMs = options.firstPauseMs ?? FIRST_PAUSE_MS
  }

  /**
   * The pause, in ms, after a throttled answer to a request that was sent at `sentAtMs` (of the same clock as
   * `nowMs`). `askedMs` is what the answer asked for, null if it asked for nothing.
   */
  pauseMs(
    destination: string,
    of: { readonly sentAtMs: number; readonly nowMs: number; readonly askedMs: number | null },
  ): number {
    const { sentAtMs, nowMs, askedMs } = of
    const before = this.#throttled.get(destination)
    // A request that was under way when the pause began tells nothing new.
    if (before !== undefined && sentAtMs <= before.sinceMs) return Math.max(this.#firstPauseMs, askedMs ?? 0)
    const times = (before?.times ?? 0) + 1
    this.#throttled.set(destination, { times, sinceMs: nowMs })
    const ownMs = doublingPause(times, { firstMs: this.#firstPauseMs, maxMs: MAX_OWN_PAUSE_MS })
    return Math.max(ownMs * (1 + this.#random() * JITTER), askedMs ?? 0)
  }

  /** The destination took, or refused, a request: the next pause is a first one again. */
  served(destination: string): void {
    this.#throttled.delete(destination)
  }
}
