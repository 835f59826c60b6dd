/** How steps are put together. */
import { isEnded } from '@sluice/domain/run-status'
import type { RunState } from './run-events.ts'
import type { AtWork, Next, Step, SyncLife } from './sync-life.ts'

export function stepOf(life: SyncLife, events: readonly RunState[], next: Next): Step {
  return { life, stops: false, events, next }
}

export function withRun(life: SyncLife, atWork: AtWork, changed: Partial<RunState>): SyncLife {
  return { ...life, atWork: { ...atWork, run: { ...atWork.run, ...changed } } }
}

/** What the end of a run tells of faults counts for the next one; a run without a number tells nothing. */
export function withEnd(life: SyncLife, ended: RunState): SyncLife {
  return ended.run === null || !isEnded(ended.status) ? life : { ...life, faults: ended.faults }
}
