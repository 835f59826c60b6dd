/** The way to a destination: leases of its limits, as the rate-limit room hands them out. */
import type { LeaseHolder } from '@sluice/rate-limit/port'
import type { Target } from './target.ts'

/** Leave for `permits` requests, to be used at once. Every permit ends as finished or unused. */
export interface Lease {
  readonly permits: number
  finished(requests: number): void
  unused(permits: number): void
}

export interface Gate {
  /** Waits for at least one permit and at most `want`. Rejects with the signal's reason. */
  acquire(want: number, signal: AbortSignal): Promise<Lease>
  /** Nothing is sent to the destination before this time (ms since 1970), by anybody. */
  pauseUntil(untilMs: number): void
}

export interface Gates {
  of(target: Target, holder: LeaseHolder): Gate
}
