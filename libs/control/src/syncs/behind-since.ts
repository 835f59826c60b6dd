/** Finds out since when the destination of a sync lacks rows of the model. */
import type { RunEvent } from '@sluice/contracts/records'
import { detectedRows } from '@sluice/domain/counts'
import { isOfSomeRows } from '@sluice/runs/machine/run-events'

/**
 * Returns the start of the first run after the last run that delivered all rows, in ms since 1970. Null if
 * the last run delivered all rows. `events` are the known runs of one incarnation, the newest first.
 */
export function behindSince(events: readonly RunEvent[]): number | null {
  let since: number | null = null
  for (const event of events) {
    // A reset says nothing about the rows, and a run of some rows says nothing about the others.
    if (event.cause === 'reset' || isOfSomeRows(event)) continue
    if (event.status === 'success') return since
    if (sawNothing(event)) continue
    since = event.startedAt ?? event.queuedAt
  }
  return since
}

/** True for a run that was cancelled before it knew of any row. */
function sawNothing({ status, counts }: RunEvent): boolean {
  return status === 'cancelled' && detectedRows(counts) === 0
}
