/** Tells rows that a run sends again, after an earlier run had them rejected, from rows that fail anew. */
import type { RunEvent } from '@sluice/contracts/records'
import type { CountsByOp } from '@sluice/contracts/state'
import { detectedRows, totalOf, undeliveredRows } from '@sluice/domain/counts'
import { isEnded } from '@sluice/domain/run-status'
import { isOfSomeRows } from '@sluice/runs/machine/run-events'

export interface RejectedAgain {
  /** The rows of the sync that the API rejects. */
  readonly rejected: number
  /** These rows, and the rows of the model that have arrived since the API rejected the first of them. */
  readonly of: number
}

/**
 * Returns the rows that the API keeps rejecting, if the run has failed with no others, and if rows arrived
 * beside them in this run or an earlier one. Otherwise returns null. Until the run has sent all rows again,
 * the rest of them counts as rejected. `counts` are the present counts of the run. `events` are the runs of
 * the sync, the oldest first.
 */
export function rejectedAgain(
  event: RunEvent,
  counts: CountsByOp,
  events: Iterable<RunEvent>,
): RejectedAgain | null {
  const { run } = event
  const failed = totalOf(counts, 'rejected')
  if (run === null || failed !== undeliveredRows(counts)) return null
  const earlier = [...events].filter(before => before.run !== null && before.run < run && isTold(before))
  const isWhole = isEnded(event.status) && !isOfSomeRows(event)
  let arrived = totalOf(counts, 'delivered')
  const rejected = isWhole ? failed : Math.max(failed, rejectedIn(earlier.at(-1)) - arrived)
  if (rejected <= 0) return null
  let arrivedBefore = 0
  for (const before of earlier.reverse()) {
    if (before.status !== 'warning' || rejectedIn(before) < rejected) break
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
