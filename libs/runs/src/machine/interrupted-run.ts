/**
 * Interrupted runs, which an earlier owner left at work, and the runs that take their places (PROTOCOL.md
 * §6).
 */
import { isOfStream } from '@sluice/domain/stream-minutes'
import { joinQueued, withQueued } from './join-queued.ts'
import { deathsBefore, isGivenUp } from './deaths.ts'
import {
  replacementOf,
  approvalLeft,
  cancelledRun,
  isReplacementOf,
  type RunState,
  withApprovalOf,
} from './run-events.ts'
import { lacksChanges, stepOf, type AtWork, type Step, type SyncLife, type WorkFact } from './sync-life.ts'

/**
 * Decides by the markers what becomes of an interrupted run. If all of its changes are published, it goes on.
 * If some are, its missing markers are written. If nothing is, it ends at once.
 */
export function inspectInterrupted(
  life: SyncLife,
  atWork: AtWork,
  fact: Extract<WorkFact, { kind: 'inspected' }>,
): Step {
  const { run: before, isProcessGone } = atWork
  const written = fact.tails.filter(tail => tail.run === before.run)
  if (written.length === 0) return replaceOrEnd({ ...life, atWork: { ...atWork, phase: 'unpublished' } })
  // `sealed` means that an earlier owner wrote the markers that the run lacked.
  const endedEarly = written.some(tail => tail.sealed)
  const lacksMarkers = written.length < fact.tails.length || written.some(tail => !tail.ended)
  const complete = !lacksMarkers && !endedEarly
  const deaths = complete ? deathsBefore(before) : before.deaths
  // Renderer and delivery work only on runs whose events say `running`.
  const run: RunState = { ...before, status: 'running', endedAt: null, complete, deaths }
  const isNews = run.status !== before.status || run.complete !== before.complete
  const inspected: AtWork = {
    ...{ ...atWork, run, phase: lacksMarkers ? 'closing' : 'delivering', isWritten: true },
    // A stream repeats nothing of a run whose process is gone.
    endsEarly: lacksMarkers || endedEarly || (isProcessGone && !isOfStream(run)),
  }
  const counted = complete ? { ...life, deaths: deathsBefore(before) } : life
  const next = lacksMarkers ? 'close' : 'await-reports'
  return stepOf({ ...counted, atWork: inspected }, isNews ? [run] : [], next)
}

/**
 * Queues the replacement of an interrupted run before that run ends. If the owner dies between these two
 * steps, the next owner repeats them, and forgets nothing.
 */
export function replaceOrEnd(life: SyncLife): Step {
  return stepOf(life, [], isReplaced(life) ? 'replace' : 'end')
}

/**
 * True for a run that was interrupted before all of its changes were published. False if it was cancelled, if
 * it failed by itself, if too many processes died at it, or if somebody has cancelled its replacement.
 */
function isReplaced({ atWork, replacementCancelled }: SyncLife): boolean {
  if (atWork === null || replacementCancelled) return false
  const { run } = atWork
  return lacksChanges(atWork) && !run.cancelling && run.error === null && !isGivenUp(run)
}

/**
 * Queues a run that replaces an interrupted one, unless a queued run does as much already. The approval
 * shrinks by the removals that the interrupted run has reported.
 */
export function replace(
  life: SyncLife,
  { run, reports }: AtWork,
  { newRunId, at }: Extract<WorkFact, { kind: 'replaced' }>,
): Step {
  const { queued } = life
  // An owner that died here may have queued the replacement already.
  if (!isReplaced(life) || queued.some(other => isReplacementOf(other, run))) return stepOf(life, [], 'end')
  const interrupted = { ...run, approved: approvalLeft(run, reports) }
  const another = replacementOf(interrupted, { runId: newRunId, at })
  const joined = joinQueued(queued, another)
  const replacement = joined === null ? another : withApprovalOf(joined, interrupted)
  if (queued.includes(replacement)) return stepOf(life, [], 'end')
  return stepOf({ ...life, queued: withQueued(queued, replacement) }, [replacement], 'end')
}

/**
 * Cancels the replacement of an interrupted run that was cancelled. A queued run that somebody asked for
 * separately goes on, without the approval of the cancelled run.
 */
export function cancelReplacement(life: SyncLife, at: number): Step {
  const { queued } = life
  const interrupted = interruptedOf(life)
  if (interrupted === null) return stepOf(life, [], 'go-on')
  const replacement = queued.find(run => isReplacementOf(run, interrupted))
  if (replacement !== undefined) {
    const others = queued.filter(run => run !== replacement)
    const events = [cancelledRun(replacement, at)]
    return stepOf({ ...life, queued: others, replacementCancelled: true }, events, 'go-on')
  }
  const unapproved =
    interrupted.approved === null
      ? []
      : queued.flatMap(run => (run.approved === null ? [] : [{ ...run, approved: null }]))
  return stepOf({ ...life, queued: unapproved.reduce(withQueued, queued) }, unapproved, 'go-on')
}

/** Returns the run at work, if an earlier owner was interrupted at it; else null. */
export function interruptedOf({ atWork }: SyncLife): RunState | null {
  return atWork?.isInterrupted === true ? atWork.run : null
}
