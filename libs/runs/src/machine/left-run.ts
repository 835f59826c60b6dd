/** What becomes of a run that an earlier owner left, and of the run that takes its place (PROTOCOL.md §6). */
import { joinQueued, withQueued } from './join-queued.ts'
import { beforeRun, isGivenUp } from './parking.ts'
import {
  replacementOf,
  approvalLeft,
  cancelledRun,
  isReplacementOf,
  type RunState,
  withApprovalOf,
} from './run-events.ts'
import { stepOf, type AtWork, type Step, type SyncLife, type WorkFact } from './sync-life.ts'

/**
 * Adopts a run whose changes are all published, and seals one that was cut. A run of which nothing is written
 * ends at once.
 */
export function inspectLeft(
  life: SyncLife,
  atWork: AtWork,
  fact: Extract<WorkFact, { kind: 'inspected' }>,
): Step {
  const { run: left, isInterrupted } = atWork
  const written = fact.tails.filter(tail => tail.run === left.run)
  if (written.length === 0) return replaceOrEnd({ ...life, atWork: { ...atWork, phase: 'lost' } })
  const wasSealed = written.some(tail => tail.sealed)
  const isCut = written.length < fact.tails.length || written.some(tail => !tail.ended)
  // Renderer and delivery work on runs that the topic says are running.
  const complete = !isCut && !wasSealed
  const deaths = complete ? beforeRun(left) : left.deaths
  const run: RunState = { ...left, status: 'running', endedAt: null, complete, deaths }
  const isNews = run.status !== left.status || run.complete !== left.complete
  const inspected: AtWork = {
    ...{ ...atWork, run, phase: isCut ? 'sealing' : 'delivering', isWritten: true },
    isSealed: isCut || wasSealed || isInterrupted,
  }
  const counted = complete ? { ...life, deaths: beforeRun(left) } : life
  return stepOf({ ...counted, atWork: inspected }, isNews ? [run] : [], isCut ? 'seal' : 'await-reports')
}

/**
 * Before a cut run ends, another run takes its place. So an owner that dies between the two does the same
 * again, and forgets nothing.
 */
export function replaceOrEnd(life: SyncLife): Step {
  return stepOf(life, [], isReplaced(life) ? 'replace' : 'end')
}

/**
 * False for a run that was cancelled, that failed by itself, or at which too many processes died. False, too,
 * if somebody has cancelled the run that took its place.
 */
function isReplaced({ atWork, replacementCancelled }: SyncLife): boolean {
  if (atWork === null || replacementCancelled) return false
  const { run, phase, isLeft, isSealed } = atWork
  const isCut = isLeft && (phase === 'lost' || isSealed)
  return isCut && !run.cancelling && run.error === null && !isGivenUp(run)
}

/**
 * Queues a run in the place of the one that was cut, unless one is queued that does as much. The removals in
 * the cut run's reports are taken off its approval.
 */
export function replace(
  life: SyncLife,
  { run, reports }: AtWork,
  { newRunId, at }: Extract<WorkFact, { kind: 'replaced' }>,
): Step {
  const { queued } = life
  // An owner that died here may have queued it already.
  if (!isReplaced(life) || queued.some(other => isReplacementOf(other, run))) return stepOf(life, [], 'end')
  const cut = { ...run, approved: approvalLeft(run, reports) }
  const another = replacementOf(cut, { runId: newRunId, at })
  const joined = joinQueued(queued, another)
  const does = joined === null ? another : withApprovalOf(joined, cut)
  if (queued.includes(does)) return stepOf(life, [], 'end')
  return stepOf({ ...life, queued: withQueued(queued, does) }, [does], 'end')
}

/**
 * Cancels the run that was queued in the place of the run that was left and cancelled. A run that somebody
 * asked for by itself goes on, without the approval of the cancelled one.
 */
export function cancelReplacement(life: SyncLife, at: number): Step {
  const { queued } = life
  const cut = leftOf(life)
  if (cut === null) return stepOf(life, [], 'go-on')
  const replacement = queued.find(run => isReplacementOf(run, cut))
  if (replacement !== undefined) {
    const others = queued.filter(run => run !== replacement)
    const events = [cancelledRun(replacement, at)]
    return stepOf({ ...life, queued: others, replacementCancelled: true }, events, 'go-on')
  }
  const unapproved =
    cut.approved === null
      ? []
      : queued.flatMap(run => (run.approved === null ? [] : [{ ...run, approved: null }]))
  return stepOf({ ...life, queued: unapproved.reduce(withQueued, queued) }, unapproved, 'go-on')
}

/** The run that an earlier owner left; null where there is none. */
export function leftOf({ atWork }: SyncLife): RunState | null {
  return atWork?.isLeft === true ? atWork.run : null
}
