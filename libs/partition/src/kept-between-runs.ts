/**
 * Whether a sync keeps its owners between two runs. To take over costs more than to wait where the schedule
 * starts the next run within a minute.
 */
import type { Fired } from '@sluice/contracts/run-records'
import { isEnded } from '@sluice/domain/run-status'
import type { SyncRuns } from '@sluice/runs/runs-view'

const KEEPS_UP_TO_MS = 60_000
/** How late the next run may begin before the owner lets go. */
const GRACE_MS = 5_000

/** For how long, in ms, the owners wait for the run of the next instant; 0 if they do not. */
export function keptForMs({ events }: Pick<SyncRuns, 'events'>, now: number): number {
  let last: Fired | null = null
  for (const { cause, status, fired } of events.values()) {
    // A reset takes the topics away, on which the owners are at work.
    if (cause === 'reset' && !isEnded(status)) return 0
    if (fired !== null && fired.at > (last?.at ?? -Infinity)) last = fired
  }
  if (last === null || last.next === null || last.next - last.at > KEEPS_UP_TO_MS) return 0
  return Math.max(0, Math.min(last.next + GRACE_MS - now, KEEPS_UP_TO_MS + GRACE_MS))
}
