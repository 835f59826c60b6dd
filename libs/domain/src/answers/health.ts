/** The health of a destination as one attempt shows it, for its breaker. */
import type { Verdict } from './outcome.ts'

/**
 * `served`: the destination took the request, or knew the row already. `failed`: no answer came, or the
 * destination failed. `refused`: it answered, and rejected this request. `unclear`: the attempt shows
 * nothing, since the destination asked for a pause, say, or was never reached.
 */
export type Health = 'served' | 'failed' | 'refused' | 'unclear'

/** Returns the health by the status of the answer, null if none came, and its verdict. */
export function healthOf(status: number | null, { outcome, answered }: Verdict): Health {
  switch (outcome) {
    case 'delivered':
    case 'exists':
    case 'missing':
      return 'served'
    case 'unknown':
      // A rule of the sync may take a 2xx as unknown, and 408 is the client's fault.
      return status === null || status >= 500 ? 'failed' : 'unclear'
    case 'unsent':
      return 'failed'
    case 'rejected':
      return answered ? 'refused' : 'unclear'
    case 'throttled':
      return 'unclear'
    default:
      return outcome satisfies never
  }
}
