/**
 * Decides how long a destination that throttles gets no requests, and how many it gets afterwards. The pause
 * has a minimum, whatever the answer says, and grows with each further throttled attempt. Each process
 * computes its own pause. The limits store applies the longest one to all processes.
 */
import { doublingPause } from '@sluice/flow/retry'
import type { UnownedAttempt } from '../ledger/request-history.ts'
import { LastAnswers } from './last-answers.ts'

const MAX_THROTTLED_MS = 3_600_000

/**
 * Bounds the requests of a partition that are under way, once its destination has throttled (PROTOCOL.md §8).
 * On throttling, the bound becomes half of the requests served since the last throttling, or half of those
 * under way, whichever is fewer, and at least one. It grows by one for each request served since.
 *
 * So an API that takes some requests keeps getting about as many. An API that takes none gets one at a time.
 */
export class ThrottleWindow {
  readonly #concurrency: number
  /** The bound; null while the limits alone decide. */
  #size: number | null = null
  /** The time of the last throttling, by `performance.now()`, and the number of requests served since. */
  #narrowedAtMs = -Infinity
  #servedSince = 0
  /** The time since which no request has arrived; null while requests arrive. */
  #throttledSince: number | null = null

  constructor(concurrency: number) {
    this.#concurrency = concurrency
  }

  get isOpen(): boolean {
    return this.#size === null
  }

  /** True while the destination throttles all requests. */
  get isThrottled(): boolean {
    return this.#throttledSince !== null
  }

  /** Returns the number of further requests that may be under way. */
  room(underWay: number): number {
    return this.#size === null ? Infinity : this.#size - underWay
  }

  /**
   * Takes an attempt with throttled rows. Returns true if the destination has throttled for an hour without
   * one success.
   */
  throttled(attempt: UnownedAttempt, sentAtMs: number, underWay: number): boolean {
    const nowMs = performance.now()
    if (hasArrived(attempt)) this.#throttledSince = null
    // The answer to a request that was under way at the last throttling is no news.
    if (sentAtMs > this.#narrowedAtMs) {
      this.#narrowedAtMs = nowMs
      this.#size = Math.max(1, Math.floor(Math.min(this.#servedSince, underWay) / 2))
      this.#servedSince = 0
    }
    this.#throttledSince ??= nowMs
    return nowMs - this.#throttledSince >= MAX_THROTTLED_MS
  }

  /**
   * Takes an attempt that was not throttled, which widens the window. Returns true if this attempt ends the
   * window.
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

/** True if some row of the attempt was delivered. */
export function hasArrived({ outcome, rows }: UnownedAttempt): boolean {
  return outcome === 'delivered' || rows.some(row => row.outcome === 'delivered')
}

/** The first pause, and the floor of all pauses. */
const FIRST_PAUSE_MS = 1_000
/** The longest pause that no answer asked for, before jitter. */
const MAX_OWN_PAUSE_MS = 60_000
/** Up to this share of a pause is added at random, so that processes do not come back as one. */
const JITTER = 0.25

interface Throttled {
  /** The number of throttlings in a row. Answers to requests that were under way together count once. */
  readonly times: number
  readonly sinceMs: number
}

/** The throttling of all destinations that one process sends to. Its partitions share it. */
export class Throttles {
  /** The last failures and throttlings of these destinations, in words. */
  readonly answers = new LastAnswers()
  readonly #random: () => number
  readonly #firstPauseMs: number
  readonly #throttled = new Map<string, Throttled>()

  /** `random` returns numbers from 0 to below 1. `firstPauseMs` is the floor; default 1 s. */
  constructor(options: { readonly random?: () => number; readonly firstPauseMs?: number } = {}) {
    this.#random = options.random ?? Math.random
    this.#firstPauseMs = options.firstPauseMs ?? FIRST_PAUSE_MS
  }

  /**
   * Returns the pause, in ms, after a throttled answer to a request that was sent at `sentAtMs` (by the clock
   * of `nowMs`). `askedMs` is the pause that the answer asked for; null if none.
   */
  pauseMs(
    destination: string,
    {
      sentAtMs,
      nowMs,
      askedMs,
    }: { readonly sentAtMs: number; readonly nowMs: number; readonly askedMs: number | null },
  ): number {
    const before = this.#throttled.get(destination)
    // The answer to a request that was under way when the pause began is no news.
    if (before !== undefined && sentAtMs <= before.sinceMs) return Math.max(this.#firstPauseMs, askedMs ?? 0)
    const times = (before?.times ?? 0) + 1
    this.#throttled.set(destination, { times, sinceMs: nowMs })
    const ownMs = doublingPause(times, { firstMs: this.#firstPauseMs, maxMs: MAX_OWN_PAUSE_MS })
    return Math.max(ownMs * (1 + this.#random() * JITTER), askedMs ?? 0)
  }

  /** Notes that the destination took, or rejected, a request. The next pause is as short as the first one. */
  served(destination: string): void {
    this.#throttled.delete(destination)
  }
}
