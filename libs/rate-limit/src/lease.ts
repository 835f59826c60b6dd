import type { Broken, LimitScope, TakeRequest } from './port.ts'

export interface LeaseWant extends Omit<TakeRequest, 'signal'> {
  /** Told whenever the breaker of the destination is found open. */
  readonly onBroken?: (broken: Broken) => void
}

/**
 * Permits for `permits` requests, to be handed to sockets until `useBeforeMs` (`elapsedMs`). All permits must
 * be given back, used or not.
 */
export interface Lease {
  readonly lease: string
  readonly permits: number
  readonly useBeforeMs: number
  readonly scopes: readonly LimitScope[]
  /** True for the one request that is to find out whether a dead destination is back. */
  readonly isProbe: boolean
}
