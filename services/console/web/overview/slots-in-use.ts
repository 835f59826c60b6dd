/** The use of a destination's concurrency, in words. */
import type { DestinationsPage } from '@sluice/contracts/api/operating'

type Concurrency = DestinationsPage['destinations'][number]['concurrency']

/**
 * For example "37 of 100 at once now". Null if it is unknown, and for an idle destination. A sync with a
 * limit of its own may use more than the destination's default. Then the text leaves out the limit.
 */
export function slotsInWords({ inUse, limit }: Concurrency, isSending: boolean): string | null {
  if (inUse === null || (inUse === 0 && !isSending)) return null
  return inUse > limit ? `${inUse} at once now` : `${inUse} of ${limit} at once now`
}
