/**
 * The budget of a destination, which all processes that send to it share: a sliding window per rate, and
 * slots of concurrency, granted as leases of several requests at once (PROTOCOL.md §9). It never sleeps: it
 * grants, or says when to ask again, and the caller's loop decides. A permit counts from the last moment at
 * which it may be used, so that no window of the configured length, wherever it starts, has more sends than
 * its limit. Windows outlive runs and processes. Errors: `unreachable` (retryable), `config` (the server of
 * the limits wants other settings), `disk`, `aborted`.
 */
import type { SluiceError } from '@sluice/contracts/errors'

/** The longest pause. A pause that seems longer began before a clock was set back. */
export const MAX_PAUSE_MS = 300_000

/**
 * A line may take this many slots of a shared destination for each slot that stays free (see `mostSlots`).
 */
export const HELD_PER_FREE = 9

/**
 * Returns how many more slots a line may take. It holds `held` slots, `free` of `all` are free, and `lines`
 * lines hold some, itself included. Up to its equal part, of two lines at least, it takes any free slot.
 * Beyond that it leaves one free for every nine that it holds. So a line whose requests take long never has
 * all slots, and gives way as they come back, down to its equal part.
 */
export function mostSlots({
  all,
  free,
  held,
  lines,
}: {
  readonly all: number
  readonly free: number
  readonly held: number
  readonly lines: number
}): number {
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
 * The owner that asks: a partition and the offset of its takeover marker. An owner with a smaller marker than
 * an earlier owner gets nothing. A marker is forgotten a week after its partition was last at work.
 */
export interface LeaseOwner {
  readonly partition: string
  readonly marker: number
}

/**
 * A destination counts as dead once `failures` requests in a row have failed. After each pause one request
 * goes through as a probe.
 */
export interface BreakerRule {
  readonly failures: number
  readonly pauseMs: number
}

/** An open breaker, as the asking process sees it. */
export interface Broken {
  /** The time at which it opened, in ms since 1970, by the clock of the limits. */
  readonly openedAt: number
  /** The number of failures in a row. */
  readonly failures: number
  /** The number of failed probes, one after another. */
  readonly failedProbes: number
  /** The time since the last probe failed, in ms; null if none has. */
  readonly lastProbeMsAgo: number | null
}

export interface ReturnedParts {
  readonly unused: number
  readonly finished: number
  readonly late?: boolean
}

/** The results of requests to a destination since the last report of the process. */
export interface Evidence {
  readonly rule: BreakerRule
  /** True if a request was served. */
  readonly served: boolean
  /** The number of failures since a request was last served, or of all failures if none was served. */
  readonly failures: number
  /**
   * Set if the lease of a probe has ended: the request failed, or its result says nothing about the
   * destination.
   */
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
  /** Requests of one line take turns with requests of other lines, in all processes. */
  readonly line?: string
  /**
   * True if other lines may send to the destination. In that case, lines share its slots (`mostSlots`). They
   * also share them whenever another line has some. A request without `line` never shares them.
   */
  readonly shared?: boolean
  /** The breaker of the destination; absent: it has none. */
  readonly breaker?: BreakerRule | undefined
  readonly signal: AbortSignal
}

export type Grant =
  /**
   * `permits` requests (1 to `want`) may go to sockets until `useBeforeMs` (`elapsedMs`). The caller gives
   * back permits that it has not used by then. A probe has one permit, and its evidence names the lease.
   */
  | {
      readonly kind: 'granted'
      readonly lease: string
      readonly permits: number
      readonly useBeforeMs: number
      readonly isProbe: boolean
    }
  /**
   * There is no room. The caller asks again after `waitMs`, or as soon as one of its own slots is free.
   * `leftMs` is the known maximum of the whole wait. `reason` says what the caller waits for: the rate, the
   * concurrency, the end of a pause, an open breaker, or the expiry of grants that Redis may have lost. It
   * may also say that the process is too new for a grant, or that there is a newer owner. `broken` is set for
   * an open breaker.
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
  /** The longest time that this may last, in ms. */
  readonly leftMs: number
  /** True if this may end earlier, since it may turn out that no grant was forgotten. */
  readonly mayBeLess: boolean
}

/**
 * A take whose answer is lost costs nothing in the end: its grant comes back once the server answers again.
 */
export interface RateLimit extends AsyncDisposable {
  /**
   * Says why the server of the limits did not answer last, or what it refused. Null while there is no
   * trouble.
   */
  readonly trouble: SluiceError | null
  take(request: TakeRequest): Promise<Grant>
  /**
   * Returns parts of a lease. `unused` permits never went to a socket, so their rate and slots are free
   * again. `late` is true if they could not be used in time. `finished` requests free only their slots.
   * Returning to an expired lease is harmless. A return that does not reach the server is repeated once the
   * server answers. So this rejects only for a bug.
   */
  giveBack(lease: string, parts: ReturnedParts): Promise<void>
  /**
   * Stops grants to the scope for `forMs`, up to `MAX_PAUSE_MS`, by the clock of the server. A pause that
   * ends later extends the present one, and one that ends earlier changes nothing (R10).
   */
  pause(scope: string, forMs: number): Promise<void>
  /**
   * Reports results of requests to a destination. The evidence of all processes is summed until a request of
   * any of them is served. The breaker opens for the processes that have seen failures themselves. Any other
   * process may send one request of its own first (docs/decisions/breaker-by-own-evidence.md). Evidence that
   * does not reach the server goes with the next report. So this rejects only for a bug.
   */
  report(destination: string, evidence: Evidence): Promise<void>
}

/** Shows how much of the limits is in use. It grants nothing, and changes nothing. */
export interface LimitUsage {
  /**
   * Resolves with the number of taken slots of a destination's concurrency, in all processes that share the
   * limit. Requests in flight have slots, and so have permits that are not used yet. Expired slots do not
   * count. `destination` is the name of its scope; an unknown one has 0. Resolves null if the number is
   * unknown. Rejects as `take` does. May be called concurrently.
   */
  slotsTaken(destination: string): Promise<number | null>
}
