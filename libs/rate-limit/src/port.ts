/**
 * The budget of a destination, shared by all processes that send to it: a sliding window per rate, and slots
 * of concurrency, handed out as leases of several requests at once (PROTOCOL.md §9). It never sleeps: it
 * grants, or says when to ask again, and the caller's loop decides. A permit counts from the last moment at
 * which it may be used, so that no window of the configured length, wherever it starts, holds more sends than
 * its limit. Windows outlive runs and processes. Errors: `unreachable` (retryable), `config` (the server
 * of the limits wants other settings), `disk`, `aborted`.
 */
import type { SluiceError } from '@sluice/contracts/errors'

/** The longest pause. A pause that seems longer was made before a clock was set back. */
export const MAX_PAUSE_MS = 300_000

/** How many slots of a shared destination a line may hold for each that stays free, see `mostSlots`. */
export const HELD_PER_FREE = 9

/**
 * How many more slots a line may take that holds `held`, where so many are `free` of `all`, and so many
 * `lines` hold some, itself included. Up to its equal part, of two lines at least, it takes what is free.
 * Beyond that it leaves one free for nine that it holds. So a line whose requests take long never has all
 * slots, and gives way as they come back, down to its equal part.
 */
export function mostSlots(of: {
  readonly all: number
  readonly free: number
  readonly held: number
  readonly lines: number
}): number {
  const { all, free, held, lines } = of
  const equalPart = Math.ceil(all / Math.max(2, lines))
  const beyond = Math.floor((HELD_PER_FREE * free - held) / (HELD_PER_FREE + 1))
  return Math.min(free, Math.max(equalPart - held, beyond))
}

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
 * Who asks: a partition and the offset of its owner's takeover marker. A smaller marker than one seen
 * before gets nothing, until a week after the partition was last at work.
 */
export interface LeaseOwner {
  readonly partition: string
  readonly marker: number
}

/**
 * When a destination counts as dead: once so many requests in a row have failed, and none was served in
 * between. After each pause one request is let through as a probe.
 */
export interface BreakerRule {
  readonly failures: number
  readonly pauseMs: number
}

/** An open breaker, as it is for the process that asks. */
export interface Broken {
  /** When it opened, in ms since 1970, by the clock of the limits. */
  readonly openedAt: number
  /** Failures in a row, until now. */
  readonly failures: number
  /** How many probes have failed, one after another. */
  readonly failedProbes: number
  /** How long ago the last of them failed, in ms; null if none has. */
  readonly lastProbeMsAgo: number | null
}

export interface ReturnedParts {
  readonly unused: number
  readonly finished: number
  readonly late?: boolean
}

/** What came of requests to a destination since the process told last. */
export interface Evidence {
  readonly rule: BreakerRule
  /** True if one was served. */
  readonly served: boolean
  /** How many failed since, or at all. */
  readonly failures: number
  /** Set if the lease of a probe has ended: that request failed, or was not what tells anything. */
  readonly probe: { readonly lease: string; readonly ended: 'failed' | 'released' } | null
}

export interface TakeRequest {
  /** All scopes must have room, and a grant counts in each. The first is the destination's. */
  readonly scopes: readonly LimitScope[]
  readonly owner: LeaseOwner
  /** Permits wanted, at least 1. */
  readonly want: number
  /** Slots that are not returned are free again after this time: the request's time-out plus a margin. */
  readonly slotLifeMs: number
  /** Whose turn it is: the requests of one name take turns with those of others, in all processes. */
  readonly line?: string
  /**
   * True if other lines may come to the destination. Its slots are shared then (`mostSlots`), as they are
   * whenever another line has some. Without `line` they are never shared.
   */
  readonly shared?: boolean
  /** The breaker of the destination; absent: it has none. */
  readonly breaker?: BreakerRule | undefined
  readonly signal: AbortSignal
}

export type Grant =
  /**
   * `permits` requests (1 to `want`) may be handed to sockets until `useBeforeMs` (`elapsedMs`). Permits that
   * are not used by then must be given back. A probe has one permit. Its evidence names the lease.
   */
  | {
      readonly kind: 'granted'
      readonly lease: string
      readonly permits: number
      readonly useBeforeMs: number
      readonly isProbe: boolean
    }
  /**
   * No room: ask again after `waitMs`, or as soon as one of your own slots is free. `leftMs` is how long it
   * may last in all, as far as is known. `reason` tells rate, concurrency, pause, a process that is too new
   * to be granted anything, a newer owner, an open breaker, or that Redis may have lost grants, so the
   * process waits until any lost grant has expired. `broken` is set for an open breaker.
   */
  | {
      readonly kind: 'wait'
      readonly waitMs: number
      readonly leftMs: number
      readonly reason: 'rate' | 'concurrency' | 'paused' | 'newcomer' | 'forgotten' | 'superseded' | 'broken'
      readonly broken: Broken | null
    }

/** Nothing is granted for a destination, because the server of the limits may have forgotten grants. */
export interface Forgotten {
  readonly destination: string
  /** For how long at most, in ms. */
  readonly leftMs: number
  /** True if it may turn out that nothing was forgotten. */
  readonly mayBeLess: boolean
}

/**
 * A take whose answer does not come costs nothing in the end. Its grant, then or later, comes back once the
 * server of the limits answers again.
 */
export interface RateLimit extends AsyncDisposable {
  /**
   * Why the server of the limits does not answer, or refuses, by what was last seen; null while all is well.
   */
  readonly trouble: SluiceError | null
  take(request: TakeRequest): Promise<Grant>
  /**
   * Returns parts of a lease: `unused` permits that were never handed to a socket (their rate and slots are
   * free again, `late` if they could not be used in time), and `finished` requests (their slots are free).
   * Returning to an expired lease is harmless. A return that does not reach the server of the limits is told
   * as soon as the server answers, also if nothing more is asked. So this rejects only for a bug.
   */
  giveBack(lease: string, parts: ReturnedParts): Promise<void>
  /**
   * Nothing is granted to the scope for `forMs`, up to `MAX_PAUSE_MS`, by the clock of the server of the
   * limits. A pause that ends later extends the present one, and one that ends earlier changes nothing (R10).
   */
  pause(scope: string, forMs: number): Promise<void>
  /**
   * Tells what came of requests to a destination. Evidence of all processes is summed until a request of any
   * of them is served. The breaker opens for the processes that have seen failures themselves. Any other may
   * try one request of its own first (docs/decisions/breaker-by-own-evidence.md). Evidence that does not
   * reach the server of the limits goes with the next. So this rejects only for a bug.
   */
  tell(destination: string, evidence: Evidence): Promise<void>
}

/** How much of the limits is in use. It only looks: it grants nothing, and no limit is kept or given up. */
export interface LimitUsage {
  /**
   * How many slots of a destination's concurrency are taken, in all processes that share the limit: by
   * requests in flight, and by permits of leases that were granted and not used yet. Slots that have expired
   * count no more. `destination` is the name of its scope; one of which nothing was asked has 0. Null if it
   * cannot be told. Rejects as `take` does. May be called concurrently.
   */
  slotsTaken(destination: string): Promise<number | null>
}
