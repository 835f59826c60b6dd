/** Computes the present request rate of a destination, from the latest attempts of its runs. */
import type { RunView, SyncView } from '@sluice/contracts/api'
import type { RunFigures } from '@sluice/contracts/views/history-views'

/** With more runs at one destination, a page shows no rate, since each run wants a request. */
const MAX_RUNS = 5
/** The index may get attempts this late. */
const LATE_MS = 5_000

type Sending = Pick<SyncView, 'destination'> & { readonly lastRun: Pick<RunView, 'id' | 'status'> | null }

/** The running runs that send to a destination. Empty if there are too many. */
export function sendingTo(name: string, syncs: readonly Sending[]): readonly string[] {
  const runs = syncs.flatMap(({ destination, lastRun }) =>
    destination === name && lastRun?.status === 'running' ? [lastRun.id] : [],
  )
  return runs.length > MAX_RUNS ? [] : runs
}

/** True if a running run sends to the destination. */
export function isSendingTo(name: string, syncs: readonly Sending[]): boolean {
  return syncs.some(({ destination, lastRun }) => destination === name && lastRun?.status === 'running')
}

/** Requests per second in the last whole bucket. Null if there is none, or if it is too old. */
export function rateOf(
  { bucketSeconds, buckets }: Pick<RunFigures, 'bucketSeconds' | 'buckets'>,
  now: number,
): number | null {
  const widthMs = bucketSeconds * 1_000
  const whole = buckets.findLast(({ at }) => Date.parse(at) + widthMs <= now)
  if (whole === undefined || now - Date.parse(whole.at) > 2 * widthMs + LATE_MS) return null
  return whole.attempts / bucketSeconds
}

/** The rate of all runs together. Null if it is known for none of them. */
export function rateOfAll(rates: readonly (number | null)[]): number | null {
  const known = rates.filter(rate => rate !== null)
  return known.length === 0 ? null : known.reduce((sum, rate) => sum + rate, 0)
}
