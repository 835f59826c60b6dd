/** Finds out since when the destination of a sync lacks rows of the model. */
import type { RunEvent } from '@sluice/contracts/records'
import { detectedRows } from '@sluice/domain/counts'
import { isOfSomeRows } from '@sluice/runs/machine/run-events'

/**
 * Returns the begin of the first run after the last one that delivered all, in ms since 1970; null if the
 * last run did. `events` are the known runs of one incarnation, the newest first.
 */
export function behindSince(events: readonly RunEvent[]): number | null {
  let since: number | null = null
  for (const event of events) {
    // A reset, too, tells nothing of the rows.
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
