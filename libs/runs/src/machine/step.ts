/**
 * The machine of a sync's runs. From a life and a fact it makes the next life, the events to be written, and
 * what to do next. It is pure, and it knows each pair: a fact that a phase cannot have is a bug, and throws
 * `internal`.
 */
import { SluiceError } from '@sluice/contracts/errors'
import { joinQueued, nextOf } from './join-queued.ts'
import { cancelReplacement, inspectLeft, replace, replaceOrEnd } from './left-run.ts'
import { atPhase, sentIn } from './phase-times.ts'
import { deathsWithout, endCounted } from './parking.ts'
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
import { failReset, setAside, takeCommandAside, takeDueAside } from './set-aside.ts'
import {
  ownedBy,
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

/** The phases of the run at work in which each fact may be told. */
export const PHASES_OF: { readonly [K in WorkFact['kind']]: readonly Phase[] } = {
  inspected: ['left'],
  sealed: ['sealing'],
  begun: ['taken'],
  restoring: ['detecting'],
  restored: ['detecting'],
  detected: ['detecting'],
  'awaits-approval': ['detecting'],
  prepared: ['detecting'],
  publishing: ['detecting'],
  published: ['publishing'],
  'cut-short': ['publishing'],
  failed: ['taken', 'detecting', 'publishing', 'reported', 'done'],
  'let-go': ['detecting', 'publishing'],
  reported: ['delivering'],
  replaced: ['lost', 'reported'],
  ended: ['lost', 'reported'],
  released: ['done'],
}

/**
 * Takes a fact. Throws `internal` if it cannot be true in this life, or if a command has to wait. Each event
 * says what the delivered state is of, so that the next owner finds it in any of them.
 */
export function step(life: SyncLife, fact: Fact): Step {
  const done = stepLife(life, fact)
  const { deliveredTo } = done.life
  return { ...done, events: done.events.map(event => ({ ...event, deliveredTo })) }
}

function stepLife(life: SyncLife, fact: Fact): Step {
  if (fact.kind === 'asked') return takeCommand(life, fact)
  if (fact.kind === 'due') return takeDue(life, fact)
  if (fact.kind === 'due-aside') return takeDueAside(life, fact.due, fact.aside)
  if (fact.kind === 'set-aside') return setAside(life, fact.aside)
  if (fact.kind === 'asked-aside') return takeCommandAside(life, fact.asked, fact.aside)
  if (fact.kind === 'reset-failed') return failReset(life, fact)
  const { atWork } = life
  if (fact.kind === 'idle') {
    if (atWork !== null) throw impossible(fact, atWork)
    return takeQueued(life, fact)
  }
  if (atWork === null || !PHASES_OF[fact.kind].includes(atWork.phase)) throw impossible(fact, atWork)
  return stepOn(life, atWork, fact)
}

/** The next queued run is taken up. It gets a number; a reset has none. */
function takeQueued(life: SyncLife, { at }: Extract<Fact, { kind: 'idle' }>): Step {
  const { awaiting } = life
  const queued = nextOf(life.queued)
  if (queued === undefined) return stepOf(life, [], 'wait')
  const others = life.queued.filter(other => other !== queued)
  // Its event is written once more. Only the owner can do that, so no other process takes topics away.
  if (queued.cause === 'reset')
    return stepOf({ ...life, queued: others, atWork: atWorkOf(queued) }, [queued], 'reset')
  // No run comes between a held one and its approval. Mostly the newer one sees the same rows.
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
    ...{ isLeft: false, isInterrupted: false, isSealed: false, isWritten: false },
  }
}

function stepOn(life: SyncLife, atWork: AtWork, fact: WorkFact): Step {
  const { run } = atWork
  const to = (changed: Partial<AtWork>): SyncLife => ({ ...life, atWork: { ...atWork, ...changed } })
  const told = (changed: Partial<AtWork['run']>, more: Partial<AtWork> = {}): Step => {
    const now = { ...run, ...changed }
    return stepOf(to({ run: now, ...more }), [now], 'go-on')
  }
  switch (fact.kind) {
    case 'inspected':
      return inspectLeft(life, atWork, fact)
    case 'sealed':
      return stepOf(to({ phase: 'delivering' }), [], 'await-reports')
    case 'begun':
      return begun(life, atWork, fact.definition)
    case 'restoring':
      return told({ restoring: fact.restoring })
    case 'restored':
      return stepOf(withRun(life, atWork, { restoring: null }), [], 'go-on')
    case 'detected':
      return detected(life, atWork, fact)
    case 'awaits-approval':
      return awaitApproval(life, atWork, fact.toApprove)
    case 'prepared':
      return told({})
    case 'publishing':
      return stepOf(
        to({ phase: 'publishing', isWritten: true, run: atPhase(run, { publishingFrom: fact.at }) }),
        [],
        'go-on',
      )
    case 'published':
      return published(life, { ...atWork, run: atPhase(run, { publishedAt: fact.at }) })
    case 'cut-short':
      return stepOf(
        to({ phase: 'delivering', isSealed: true, run: atPhase(run, { publishedAt: fact.at }) }),
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

/** Counts the death of its process beforehand: nobody can count it afterwards. */
function begun(life: SyncLife, atWork: AtWork, definition: string): Step {
  const deaths = (atWork.run.deaths ?? 0) + 1
  const run = { ...atWork.run, status: 'running', definition, deaths } as const
  return stepOf({ ...life, deaths, atWork: { ...atWork, run, phase: 'detecting' } }, [run], 'go-on')
}

/** The process does not die of this run, so its event counts no death. */
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
  const next = toApprove !== null ? 'await-approval' : records > 0 ? 'publish' : 'end'
  // Renderer and delivery never hear of a run that publishes nothing, so no report will come.
  const phase = next === 'end' ? 'reported' : 'detecting'
  const deliveredTo = toApprove === null ? ownedBy(life, to) : life.deliveredTo
  // Written before the first change, so that the next owner knows where rows of the state may be.
  const events = deliveredTo === life.deliveredTo ? [] : [run]
  return stepOf({ ...life, deliveredTo, atWork: { ...atWork, run, phase } }, events, next)
}

function awaitApproval(life: SyncLife, atWork: AtWork, held: AtWork['run']['held']): Step {
  // An approval takes its number back, and what the run before it said counts again.
  const deaths = deathsWithout(atWork.run)
  const run = { ...atWork.run, status: 'held', held, approved: null, deaths } as const
  const done: AtWork = { ...atWork, run, phase: 'done' }
  return stepOf({ ...life, deaths, awaiting: run, atWork: done }, [run], 'release')
}

function published(life: SyncLife, atWork: AtWork): Step {
  // The earlier ones count on, since renderer or delivery may die of this run, too.
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
 * Ends a run that has published nothing. For a run that has published something, it notes the failure, and a
 * takeover ends the run. A run whose end is being written ends for the second time.
 */
function failed(life: SyncLife, atWork: AtWork, { error, at }: Extract<WorkFact, { kind: 'failed' }>): Step {
  const { run, phase, isWritten } = atWork
  if (phase === 'publishing') {
    const { error: message, errorCode } = failedRun(run, error, at)
    const noted = { ...run, error: message, errorCode }
    return stepOf({ ...life, atWork: { ...atWork, run: noted } }, [noted], 'take-over')
  }
  if (isWritten) throw impossible({ kind: 'failed', error, at }, atWork)
  // Somebody approved it while it was let go of: the same run is queued again, and goes on from there.
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
  const { run, phase, reports, isLeft, isSealed, isWritten } = atWork
  if (phase === 'lost') {
    const interrupted = new SluiceError('internal', INTERRUPTED)
    return finish(life, atWork, run.cancelling ? cancelledRun(run, at) : failedRun(run, interrupted, at))
  }
  if (isWritten) {
    const first = isLeft ? run.first && !hasSeenModel(run) : life.first
    return finish({ ...life, first }, atWork, endedRun(run, reports, { sealed: isSealed, at, endsBefore }))
  }
  if (run.cancelling) return finish(life, atWork, cancelledRun(run, at))
  const complete = { ...run, complete: true }
  const first = life.first && !hasSeenModel(complete)
  return finish({ ...life, first }, atWork, endedRun(complete, [], { sealed: false, at }))
}

/** Writes the run's end, and before it that of the run that was to take the place of a cancelled one. */
function finish(life: SyncLife, atWork: AtWork, end: AtWork['run']): Step {
  const ended = endCounted(atWork, end)
  const before = ended.cancelling ? cancelReplacement(life, ended.endedAt ?? 0) : stepOf(life, [], 'go-on')
  const next = withEnd({ ...before.life, atWork: { ...atWork, run: ended, phase: 'done' } }, ended)
  return stepOf(next, [...before.events, ended], 'release')
}

function impossible(fact: Fact, atWork: AtWork | null): SluiceError {
  const found = atWork === null ? 'nothing is at work' : `run ${atWork.run.runId} is ${atWork.phase}`
  return new SluiceError('internal', `${found}, and is told: ${fact.kind}`)
}
