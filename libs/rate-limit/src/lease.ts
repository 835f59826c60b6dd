import type { LimitScope, TakeRequest } from './port.ts'

export type LeaseWant = Omit<TakeRequest, 'signal'>

/**
 * Permits for `permits` requests, to be handed to sockets until `useBeforeMs` (`elapsedMs`). All permits must
 * be given back, used or not.
 */
export interface Lease {
  readonly lease: string
  readonly permits: number
  readonly useBeforeMs: number
  readonly scopes: readonly LimitScope[]
}
