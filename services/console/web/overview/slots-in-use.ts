/** How much of its concurrency a destination has in use, in words. */
import type { DestinationsPage } from '@sluice/contracts/api/operating'

type Concurrency = DestinationsPage['destinations'][number]['concurrency']

/**
 * Such as "37 of 100 at once now". Null if it is not known, and for a destination at rest. A sync with a
 * limit of its own may use more than the destination's default, so that there is no whole to tell it of.
 */
export function slotsInWords({ inUse, limit }: Concurrency, isSending: boolean): string | null {
  if (inUse === null || (inUse === 0 && !isSending)) return null
  return inUse > limit ? `${inUse} at once now` : `${inUse} of ${limit} at once now`
}
