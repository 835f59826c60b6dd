/** Since when the destination of a sync lacks rows of the model. */
import type { RunEvent } from '@sluice/contracts/records'
import { detectedRows } from '@sluice/domain/counts'

/**
 * The begin of the first run after the last one that delivered all, in ms since 1970; null if the last run
 * did. `events` are the runs of one incarnation, the newest first. Of runs that are not known any more
 * nothing is said.
 */
export function behindSince(events: readonly RunEvent[]): number | null {
  let since: number | null = null
  for (const event of events) {
    if (event.status === 'success' && !isOfSomeRows(event)) return since
    if (isOfSomeRows(event) || sawNothing(event)) continue
    since = event.startedAt ?? event.queuedAt
  }
  return since
}

/** True for a run that looks only at some of the rows. */
function isOfSomeRows({ cause, scope }: RunEvent): boolean {
  return (
    cause === 'discard' || cause === 'replay' || cause === 'reset' || (cause === 'retry' && scope !== null)
  )
}

/** True for a run that was cancelled, or refused, before it knew of any row. */
function sawNothing({ status, counts }: RunEvent): boolean {
  return status === 'cancelled' && detectedRows(counts) === 0
}
