/** Tells rows that a run sends again, after an earlier run had them rejected, from rows that fail anew. */
import type { FailedRows, RunEvent } from '@sluice/contracts/records'
import type { CountsByOp } from '@sluice/contracts/state'
import { rowsAgain } from '@sluice/domain/answers/failures-of-run'
import { detectedRows, totalOf, undeliveredRows } from '@sluice/domain/counts'
import { isEnded } from '@sluice/domain/run-status'
import { isOfSomeRows } from '@sluice/runs/machine/run-events'

/** Fewer rows that fail for the first time say little of the destination. */
const MIN_ANEW = 3

export interface RejectedAgain {
  /** The rows of the sync that the API rejects. */
  readonly rejected: number
  /** These rows, and the rows of the model that have arrived since the API rejected the first of them. */
  readonly of: number
}

/**
 * Returns the rows that the API keeps rejecting, if the run has failed with hardly any others, and if rows
 * arrived beside them in this run or an earlier one. Otherwise returns null. Until the run has sent all rows
 * again, the rest of them counts as rejected. `counts` are the present counts of the run, and `failures` the
 * reasons for which its rows failed. `events` are the runs of the sync, the oldest first.
 */
export function rejectedAgain(
  event: RunEvent,
  {
    counts,
    failures,
    events,
  }: {
    readonly counts: CountsByOp
    readonly failures: readonly FailedRows[]
    readonly events: Iterable<RunEvent>
  },
): RejectedAgain | null {
  const { run } = event
  const failed = totalOf(counts, 'rejected')
  if (run === null || failed !== undeliveredRows(counts)) return null
  let arrived = totalOf(counts, 'delivered')
  const known = rowsAgain(failures)
  if (known !== null && known.anew >= MIN_ANEW && known.anew >= arrived) return null
  // If the failures do not tell, no row is repeated after somebody discarded rows.
  const ends = (before: RunEvent): boolean => known === null && before.cause === 'discard'
  const earlier = [...events].filter(
    before => before.run !== null && before.run < run && (isTold(before) || ends(before)),
  )
  const isWhole = isEnded(event.status) && !isOfSomeRows(event)
  const rejected = isWhole ? failed : Math.max(failed, rejectedIn(earlier.at(-1)) - arrived)
  if (rejected <= 0) return null
  const repeated = rejected - (known?.anew ?? 0)
  let arrivedBefore = 0
  for (const before of earlier.reverse()) {
    if (before.status !== 'warning' || rejectedIn(before) < repeated) break
    arrivedBefore += totalOf(before.counts, 'delivered')
  }
  if (arrivedBefore === 0) return null
  arrived += arrivedBefore
  // A row may have arrived several times, so the model has an upper bound.
  const all = event.rowsRead === 0 ? Infinity : event.rowsRead
  return { rejected, of: Math.max(rejected, Math.min(all, rejected + arrived)) }
}

/** False for a run that says nothing about the rows as a whole. */
function isTold(event: RunEvent): boolean {
  if (!isEnded(event.status) || isOfSomeRows(event)) return false
  return event.status === 'success' || detectedRows(event.counts) > 0
}

function rejectedIn(event: RunEvent | undefined): number {
  return event === undefined ? 0 : totalOf(event.counts, 'rejected')
}
