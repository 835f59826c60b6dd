/**
 * How long a destination that throttles is left alone. The pause has a floor, whatever the answer says, and
 * grows for as long as every further try is throttled. The limits' store makes it hold for all processes.
 * Each process counts for itself: of several pauses, the one that ends last holds.
 */
import { doublingPause } from '@sluice/flow/retry'

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
