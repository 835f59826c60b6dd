/**
 * The budget of a destination, shared by all who send to it: a sliding window per rate, and slots of
 * concurrency, handed out as leases of several requests at once (PROTOCOL.md §9). It never sleeps: it grants,
 * or says when to ask again, and the caller's loop decides. Windows are counted over their length plus the
 * lease's life, so that no window of the configured length, wherever it starts, holds more sends than its
 * limit; they outlive runs and processes. Errors: `unreachable` (retryable), `config` (who keeps the limits
 * wants other settings), `disk`, `aborted`.
 */
import type { SluiceError } from '@sluice/contracts/errors'

/** No pause is longer; what claims to be was made before a clock was set back. */
export const LONGEST_PAUSE_MS = 300_000

/** At most `requests` sends in any window of `windowMs`. */
export interface RateWindow {
  readonly requests: number
  readonly windowMs: number
}

/** One limit with a name: `destination/algolia` or `sync/algolia-synonyms`. Equal names share one budget. */
export interface LimitScope {
  readonly name: string
  readonly rates: readonly RateWindow[]
  readonly concurrency: number
}

/**
 * Who asks: a partition and the offset of its owner's takeover marker. A smaller marker than one seen before
 * gets nothing, ever.
 */
export interface LeaseHolder {
  readonly partition: string
  readonly marker: number
}

export interface TakeRequest {
  /** All of them must have room; a grant counts in each. The first is the destination's. */
  readonly scopes: readonly LimitScope[]
  readonly holder: LeaseHolder
  /** Permits wanted, at least 1. */
  readonly want: number
  /** Slots that are not returned are free again after this time: request time-out plus a margin. */
  readonly slotLifeMs: number
  readonly signal: AbortSignal
}

export type Grant =
  /**
   * `permits` requests (1 to `want`) may be handed to sockets until `useBeforeMs` (`elapsedMs`); what
   * is not used by then is to be given back.
   */
  | {
      readonly kind: 'granted'
      readonly lease: string
      readonly permits: number
      readonly useBeforeMs: number
    }
  /**
   * No room: ask again after `waitMs`, or as soon as one of your own slots is free. `leftMs` is how long it
   * may last in all, as far as is known. `reason` tells rate, concurrency, pause, a newer holder, or that who
   * keeps the limits may have forgotten grants, which have to run out.
   */
  | {
      readonly kind: 'wait'
      readonly waitMs: number
      readonly leftMs: number
      readonly reason: 'rate' | 'concurrency' | 'paused' | 'forgotten' | 'superseded'
    }

/** Nothing is granted for a destination, because who keeps the limits may have forgotten what it granted. */
export interface Forgotten {
  readonly destination: string
  /** For how long at most. */
  readonly leftMs: number
  /** True if it may turn out that nothing was forgotten. */
  readonly mayBeLess: boolean
}

/**
 * A take whose answer does not come costs nothing in the end: what it was granted, then or later, comes back
 * once who keeps the limits answers again.
 */
export interface RateLimit extends AsyncDisposable {
  /** Why who keeps the limits does not answer, or refuses, as was last seen; null while all is well. */
  readonly trouble: SluiceError | null
  take(request: TakeRequest): Promise<Grant>
  /**
   * Returns parts of a lease: `unused` permits that were never handed to a socket (their rate and slots are
   * free again), and `finished` requests (their slots are free). Returning to a lease that has expired is
   * harmless. What cannot be told at once is told as soon as who keeps the limits answers, also if nothing
   * more is asked; so it rejects for a bug only.
   */
  giveBack(lease: string, parts: { readonly unused: number; readonly finished: number }): Promise<void>
  /**
   * Nothing is granted to the scope for `forMs`, up to `LONGEST_PAUSE_MS`, by the clock of whoever keeps the
   * limits; a pause that ends later extends, one that ends earlier changes nothing (R10).
   */
  pause(scope: string, forMs: number): Promise<void>
}
