/** How much of its rate a destination has in use: what the runs that send there sent last. */
import type { RunView, SyncView } from '@sluice/contracts/api'
import type { RunFigures } from '@sluice/contracts/views/history-views'

/** Runs of one destination that a page looks at. With more of them, it tells no figure. */
const MAX_RUNS = 5
/** How much later than they happened attempts may come to the index. */
const LATE_MS = 5_000

type Sending = Pick<SyncView, 'destination'> & { readonly lastRun: Pick<RunView, 'id' | 'status'> | null }

/** The runs at work that send to a destination; none if they are too many to look at. */
export function sendingTo(name: string, syncs: readonly Sending[]): readonly string[] {
  const runs = syncs.flatMap(({ destination, lastRun }) =>
    destination === name && lastRun?.status === 'running' ? [lastRun.id] : [],
  )
  return runs.length > MAX_RUNS ? [] : runs
}

/** True if a run at work sends to a destination. */
export function isSendingTo(name: string, syncs: readonly Sending[]): boolean {
  return syncs.some(({ destination, lastRun }) => destination === name && lastRun?.status === 'running')
}

/** Requests a second in the last whole bucket; null if there is none, or if it is of some time ago. */
export function rateOf(
  { bucketSeconds, buckets }: Pick<RunFigures, 'bucketSeconds' | 'buckets'>,
  now: number,
): number | null {
  const widthMs = bucketSeconds * 1_000
  const whole = buckets.findLast(({ at }) => Date.parse(at) + widthMs <= now)
  if (whole === undefined || now - Date.parse(whole.at) > 2 * widthMs + LATE_MS) return null
  return whole.attempts / bucketSeconds
}

/** Of all runs together; null unless it is known of one at least. */
export function rateOfAll(rates: readonly (number | null)[]): number | null {
  const known = rates.filter(rate => rate !== null)
  return known.length === 0 ? null : known.reduce((sum, rate) => sum + rate, 0)
}
