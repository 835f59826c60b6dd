/** Finds out since when the destination of a sync lacks rows of the model, and how many runs ended since. */
import type { RunEvent } from '@sluice/contracts/records'
import { detectedRows } from '@sluice/domain/counts'
import { isEnded } from '@sluice/domain/run-status'
import type { Behind } from '../port.ts'
import { isOfSomeRows } from '@sluice/runs/machine/run-events'

/**
 * Returns null if the last run delivered all rows. `events` are the known runs of one incarnation, the newest
 * first.
 */
export function behindOf(events: readonly RunEvent[]): Behind | null {
  let behind: Behind | null = null
  for (const event of events) {
    // A reset says nothing about the rows, and a run of some rows says nothing about the others.
    if (event.cause === 'reset' || isOfSomeRows(event)) continue
    if (event.status === 'success') return behind
    if (sawNothing(event)) continue
    const runs: number = (behind?.runs ?? 0) + (isEnded(event.status) ? 1 : 0)
    behind = { since: event.startedAt ?? event.queuedAt, runs }
  }
  return behind
}

/**
 * True for an ended run that shows whether rows arrive. A run of some rows says nothing about the others,
 * unless it failed.
 */
export function isTelling(event: RunEvent): boolean {
  if (!isEnded(event.status)) return false
  return event.status === 'failed' || !(event.cause === 'reset' || isOfSomeRows(event) || sawNothing(event))
}

/** True for a run that was cancelled before it knew of any row. */
function sawNothing({ status, counts }: RunEvent): boolean {
  return status === 'cancelled' && detectedRows(counts) === 0
}
