/** What one try at sending a request says of the destination itself, for its breaker. */
import type { Verdict } from './outcome.ts'

/**
 * `served`: it took the request, or knew the row already. `failed`: no answer came, or it has failed itself.
 * `refused`: it is there, and did not want this request. `untold`: it asked for a pause, say, or was never
 * asked.
 */
export type Health = 'served' | 'failed' | 'refused' | 'untold'

/** `status` is that of the answer; null if none came. */
export function healthOf(status: number | null, { outcome, answered }: Verdict): Health {
  switch (outcome) {
    case 'delivered':
    case 'exists':
    case 'missing':
      return 'served'
    case 'unknown':
      // A rule of the sync may take a 2xx as unknown, and 408 is the client's fault.
      return status === null || status >= 500 ? 'failed' : 'untold'
    case 'unsent':
      return 'failed'
    case 'rejected':
      return answered ? 'refused' : 'untold'
    case 'throttled':
      return 'untold'
    default:
      return outcome satisfies never
  }
}
