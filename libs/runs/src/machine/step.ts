/**
 * The machine of a sync's runs. From a life and a fact it makes the next life, the events to be written, and
 * what to do next. It is pure. A fact that is impossible in a phase is a bug, and throws `internal`.
 */
import { SluiceError } from '@sluice/contracts/errors'
import { joinQueued, nextOf } from './join-queued.ts'
import { cancelReplacement, inspectInterrupted, replace, replaceOrEnd } from './interrupted-run.ts'
import { atPhase, sentIn } from './phase-times.ts'
import { deathsWithout, endCounted } from './deaths.ts'
import {
  cancelledRun,
  endedRun,
  failedRun,
  hasSeenModel,
  INTERRUPTED,
  numberedRun,
  supersededRun,
  type Newer,
  type RunState,
} from './run-events.ts'
import { failReset, suspend, takeCommandSuspended, takeDueSuspended } from './suspended-sync.ts'
import {
  deliveredToNow,
  stepOf,
  withEnd,
  withRun,
  type AtWork,
  type Fact,
  type Phase,
  type Step,
  type SyncLife,
  type WorkFact,
} from './sync-life.ts'
import { takeCommand } from './take-command.ts'
import { takeDue } from './take-due.ts'

/** The phases of the run at work in which each fact may come. */
export const PHASES_OF: { readonly [K in WorkFact['kind']]: readonly Phase[] } = {
  inspected: ['interrupted'],
  closed: ['closing'],
  begun: ['taken'],
  restoring: ['detecting'],
  restored: ['detecting'],
  detected: ['detecting'],
  held: ['detecting'],
  prepared: ['detecting'],
  publishing: ['detecting'],
  streamed: ['detecting', 'publishing', 'delivering'],
  published: ['publishing'],
  'publishing-cancelled': ['publishing'],
  failed: ['taken', 'detecting', 'publishing', 'reported', 'done'],
  'let-go': ['detecting', 'publishing'],
  reported: ['delivering'],
  replaced: ['unpublished', 'reported'],
  ended: ['unpublished', 'reported'],
  released: ['done'],
}

/**
 * Takes a fact. Throws `internal` if it cannot be true in this life, or if a command has to wait. Each event
 * names the destination of the delivered state, so that the next owner finds it in any of them.
 */
export function step(life: SyncLife, fact: Fact): Step {
  const done = stepLife(life, fact)
  const { deliveredTo } = done.life
  return { ...done, events: done.events.map(event => ({ ...event, deliveredTo })) }
}

function stepLife(life: SyncLife, fact: Fact): Step {
  if (fact.kind === 'asked') return takeCommand(life, fact)
  if (fact.kind === 'due') return takeDue(life, fact)
  if (fact.kind === 'due-suspended') return takeDueSuspended(life, fact.due, fact.aside)
  if (fact.kind === 'suspended') return suspend(life, fact.aside)
  if (fact.kind === 'asked-suspended') return takeCommandSuspended(life, fact.asked, fact.aside)
  if (fact.kind === 'reset-failed') return failReset(life, fact)
  const { atWork } = life
  if (fact.kind === 'idle') {
    if (atWork !== null) throw impossible(fact, atWork)
    return takeQueued(life, fact)
  }
  if (atWork === null || !PHASES_OF[fact.kind].includes(atWork.phase)) throw impossible(fact, atWork)
  return stepOn(life, atWork, fact)
}

/** Takes up the next queued run, and numbers it. A reset gets no number. */
function takeQueued(life: SyncLife, { at }: Extract<Fact, { kind: 'idle' }>): Step {
  const { awaiting } = life
  const queued = nextOf(life.queued)
  if (queued === undefined) return stepOf(life, [], 'wait')
  const others = life.queued.filter(other => other !== queued)
  // The event of a reset is written once more. Only the owner can do that, so no other process deletes
  // topics.
  if (queued.cause === 'reset')
    return stepOf({ ...life, queued: others, atWork: atWorkOf(queued) }, [queued], 'reset')
  // A newer run takes the place of a held run, since it mostly sees the same rows. So no run comes between a
  // held run and its approval.
  const superseded = awaiting === null ? [] : [supersededRun(awaiting, newerThan(awaiting, queued), at)]
  const { lastRun, first, faults, deaths } = superseded.reduce(withEnd, life)
  const run = numberedRun(queued, { run: lastRun + 1, first, faults, deaths, startedAt: at })
  const taken = { queued: others, awaiting: null, faults, lastRun: lastRun + 1, atWork: atWorkOf(run) }
  return stepOf({ ...life, ...taken }, superseded, 'detect')
}

function newerThan(awaiting: RunState, queued: RunState): Newer {
  return { runId: queued.runId, doesAsMuch: joinQueued([queued], awaiting) !== null }
}

function atWorkOf(run: AtWork['run']): AtWork {
  return {
    ...{ run, phase: 'taken', reports: [] },
    ...{ isInterrupted: false, isProcessGone: false, endsEarly: false, isWritten: false },
  }
}

function stepOn(life: SyncLife, atWork: AtWork, fact: WorkFact): Step {
  const { run } = atWork
  const to = (changed: Partial<AtWork>): SyncLife => ({ ...life, atWork: { ...atWork, ...changed } })
  const reportRun = (changed: Partial<AtWork['run']>): Step => {
    const now = { ...run, ...changed }
    return stepOf(to({ run: now }), [now], 'go-on')
  }
  switch (fact.kind) {
    case 'inspected':
      return inspectInterrupted(life, atWork, fact)
    case 'closed':
      return stepOf(to({ phase: 'delivering' }), [], 'await-reports')
    case 'begun':
      return begun(life, atWork, fact.definition)
    case 'restoring':
      return reportRun({ restoring: fact.restoring })
    case 'restored':
      return stepOf(withRun(life, atWork, { restoring: null }), [], 'go-on')
    case 'detected':
      return detected(life, atWork, fact)
    case 'held':
      return awaitApproval(life, atWork, fact)
    case 'prepared':
      return reportRun(atPhase(run, { publishingFrom: fact.at }))
    case 'publishing':
      return stepOf(
        to({ phase: 'publishing', isWritten: true, run: atPhase(run, { publishingFrom: fact.at }) }),
        [],
        'go-on',
      )
    case 'streamed':
      return reportRun({ ...fact.found, stream: fact.stream })
    case 'published':
      return published(life, { ...atWork, run: atPhase(run, { publishedAt: fact.at }) })
    case 'publishing-cancelled':
      return stepOf(
        to({ phase: 'delivering', endsEarly: true, run: atPhase(run, { publishedAt: fact.at }) }),
        [],
        'await-reports',
      )
    case 'failed':
      return failed(life, atWork, fact)
    case 'let-go':
      return letGo(life, atWork)
    case 'reported': {
      const sent = sentIn(run, fact.reports, fact.at)
      const reported = to({ phase: 'reported', reports: fact.reports, run: sent })
      return replaceOrEnd(reported)
    }
    case 'replaced':
      return replace(life, atWork, fact)
    case 'ended':
      return end(life, atWork, fact)
    case 'released':
      return stepOf({ ...life, atWork: null }, [], 'go-on')
    default:
      return fact satisfies never
  }
}

/** Counts the death of the process in advance, since a dead process cannot count. */
function begun(life: SyncLife, atWork: AtWork, definition: string): Step {
  const deaths = (atWork.run.deaths ?? 0) + 1
  const run = { ...atWork.run, status: 'running', definition, deaths } as const
  return stepOf({ ...life, deaths, atWork: { ...atWork, run, phase: 'detecting' } }, [run], 'go-on')
}

/** Takes back the death that the run's event counts: the process stops in good order. */
function letGo(life: SyncLife, atWork: AtWork): Step {
  const deaths = deathsWithout(atWork.run)
  const run = { ...atWork.run, deaths }
  return stepOf({ ...life, deaths, atWork: { ...atWork, run } }, [run], 'go-on')
}

function detected(
  life: SyncLife,
  atWork: AtWork,
  { found, records, toApprove, to }: Extract<WorkFact, { kind: 'detected' }>,
): Step {
  const run = { ...atWork.run, ...found }
  const next = toApprove !== null ? 'hold' : records > 0 ? 'publish' : 'end'
  // Renderer and delivery never hear of a run that publishes nothing, so no report will come.
  const phase = next === 'end' ? 'reported' : 'detecting'
  const deliveredTo = toApprove === null ? deliveredToNow(life, to) : life.deliveredTo
  // The event comes before the first change, so that the next owner knows where rows of the state may be.
  const events = deliveredTo === life.deliveredTo ? [] : [run]
  return stepOf({ ...life, deliveredTo, atWork: { ...atWork, run, phase } }, events, next)
}

function awaitApproval(
  life: SyncLife,
  atWork: AtWork,
  { toApprove: held, at }: Extract<WorkFact, { kind: 'held' }>,
): Step {
  // The detector has survived. An approved run gives its number back, and the sync needs the deaths from
  // before it.
  const deaths = deathsWithout(atWork.run)
  const since = atPhase(atWork.run, { heldAt: at })
  const run = { ...since, status: 'held', held, approved: null, deaths } as const
  const done: AtWork = { ...atWork, run, phase: 'done' }
  return stepOf({ ...life, deaths, awaiting: run, atWork: done }, [run], 'release')
}

function published(life: SyncLife, atWork: AtWork): Step {
  // Earlier deaths still count, since renderer or delivery may die of this run, too.
  const deaths = deathsWithout(atWork.run)
  const run = { ...atWork.run, complete: true, deaths }
  const first = life.first && !hasSeenModel(run)
  return stepOf(
    { ...life, first, deaths, atWork: { ...atWork, run, phase: 'delivering' } },
    [run],
    'await-reports',
  )
}

/**
 * Ends a run that has published nothing. If a run has published something, this only notes the failure, and a
 * takeover ends the run. If the end of a run is being written already, the run ends a second time.
 */
function failed(life: SyncLife, atWork: AtWork, { error, at }: Extract<WorkFact, { kind: 'failed' }>): Step {
  const { run, phase, isWritten } = atWork
  if (phase === 'publishing') {
    const { error: message, errorCode } = failedRun(run, error, at)
    const noted = { ...run, error: message, errorCode }
    return stepOf({ ...life, atWork: { ...atWork, run: noted } }, [noted], 'take-over')
  }
  if (isWritten) throw impossible({ kind: 'failed', error, at }, atWork)
  // Somebody approved the run while it was being released: it is queued again, and goes on from there.
  if (life.queued.some(({ runId }) => runId === run.runId))
    return stepOf({ ...life, atWork: { ...atWork, phase: 'done' } }, [], 'release')
  const awaiting = life.awaiting?.runId === run.runId ? null : life.awaiting
  return finish(
    { ...life, awaiting },
    atWork,
    run.cancelling ? cancelledRun(run, at) : failedRun(run, error, at),
  )
}

function end(life: SyncLife, atWork: AtWork, { endsBefore, at }: Extract<WorkFact, { kind: 'ended' }>): Step {
  const { run, phase, reports, isInterrupted, endsEarly, isWritten } = atWork
  if (phase === 'unpublished') {
    const interrupted = new SluiceError('internal', INTERRUPTED)
    return finish(life, atWork, run.cancelling ? cancelledRun(run, at) : failedRun(run, interrupted, at))
  }
  if (isWritten) {
    const first = isInterrupted ? run.first && !hasSeenModel(run) : life.first
    return finish({ ...life, first }, atWork, endedRun(run, reports, { endsEarly, at, endsBefore }))
  }
  if (run.cancelling) return finish(life, atWork, cancelledRun(run, at))
  const complete = { ...run, complete: true }
  const first = life.first && !hasSeenModel(complete)
  return finish({ ...life, first }, atWork, endedRun(complete, [], { endsEarly: false, at }))
}

/** Ends the run. If it was cancelled, the run that was to take its place ends before it. */
function finish(life: SyncLife, atWork: AtWork, end: AtWork['run']): Step {
  const ended = endCounted(atWork, end)
  const before = ended.cancelling ? cancelReplacement(life, ended.endedAt ?? 0) : stepOf(life, [], 'go-on')
  const next = withEnd({ ...before.life, atWork: { ...atWork, run: ended, phase: 'done' } }, ended)
  return stepOf(next, [...before.events, ended], 'release')
}

function impossible(fact: Fact, atWork: AtWork | null): SluiceError {
  const found = atWork === null ? 'nothing is at work' : `run ${atWork.run.runId} is ${atWork.phase}`
  return new SluiceError('internal', `${found}, which does not go with the fact ${fact.kind}`)
}
