/**
 * Runs that ended before a stage had come to their end, since the stage was set aside (PROTOCOL.md §11). The
 * stage passes over the rest of such a run. The next run takes all of it as unknown, and sends it again.
 */
import { isEnded } from '@sluice/domain/run-status'
import type { SyncRuns } from './runs-view.ts'

/** True for a run, by its number in this incarnation, that is known to have ended. */
export function isOver(runs: SyncRuns | undefined, incarnation: string, run: number): boolean {
  if (runs?.incarnation !== incarnation) return false
  let isFollowed = false
  for (const event of runs.events.values()) {
    if (event.run === run) return isEnded(event.status)
    if ((event.run ?? 0) > run) isFollowed = true
  }
  // The oldest runs are not remembered. Since runs are one at a time, a lower number means that the run has
  // ended.
  return isFollowed
}
