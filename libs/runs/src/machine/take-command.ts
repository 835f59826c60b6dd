/**
 * Takes a command (PROTOCOL.md §12), also while a run is at work. Runs are queued behind that run (R13). Each
 * command is taken once: offsets up to the last one taken are skipped. A command after a reset waits for the
 * next incarnation.
 */
import { isOfStream } from '@sluice/domain/stream-minutes'
import { SluiceError } from '@sluice/contracts/errors'
import { isEnded } from '@sluice/domain/run-status'
import { joinQueued, MAX_QUEUED, nextOf, withQueued } from './join-queued.ts'
import { cancelReplacement, interruptedOf } from './interrupted-run.ts'
import {
  approvedRun,
  cancelledRun,
  decides,
  isReplacementOf,
  queuedRun,
  type RunState,
} from './run-events.ts'
import {
  deliveredToNow,
  stepOf,
  withEnd,
  withRun,
  type Asked,
  type AtWork,
  type Step,
  type SyncLife,
} from './sync-life.ts'

export function takeCommand(life: SyncLife, asked: Asked): Step {
  const { command, offset } = asked
  if (isResetting(life)) throw new SluiceError('internal', `command ${command.id} came after a reset`)
  if (offset <= life.lastCommand) return stepOf(life, [], 'go-on')
  const taken = { ...life, lastCommand: offset }
  switch (command.kind) {
    case 'run':
      return queue(taken, asOrdinary(life, asked))
    case 'cancel':
      return cancel(taken, asked)
    case 'approve':
      return approve(taken, asked)
    case 'reset':
      return queueReset(taken, asked)
    default:
      return command.kind satisfies never
  }
}

/** True once a reset is queued. All commands after it are for the next incarnation. */
export function isResetting({ queued, atWork }: SyncLife): boolean {
  return queued.some(({ cause }) => cause === 'reset') || atWork?.run.cause === 'reset'
}

function runOf(life: SyncLife, { command, offset, partitions, heard, at }: Asked): RunState {
  const { fired } = life
  const { id: runId, cause, scope, by } = command
  const run = queuedRun({ runId, cause, scope: scope ?? null, command: offset, partitions, at, by, fired })
  if (!decides(run)) return run
  const upTo = lastBefore(life, run)
  const { atWork, lastRun } = life
  // The run of a stream is long: rows of it have failed for good, while it goes on.
  const isInMidst = atWork !== null && atWork.phase !== 'done' && upTo === lastRun - 1
  return isInMidst && heard ? { ...run, upTo: lastRun, upToSlices: heard } : { ...run, upTo }
}

/**
 * Returns the last run that a decision is about. A retry or a discard leaves out the run at work, since its
 * rows may fail after the person looked. That is so even if a suspension has written `failed` into the run's
 * event. A group names its rows by the time at which they failed first, so it includes the run at work: that
 * run may try all of them again before the decision's turn comes. A retry at work is left out, so that a
 * second retry of the group sends no row twice. A resync includes a run at work that may have sent rows,
 * since the API may have lost these, too.
 */
function lastBefore(
  { atWork, lastRun }: SyncLife,
  { cause, scope }: Pick<RunState, 'cause' | 'scope'>,
): number {
  if (atWork === null || atWork.phase === 'done') return lastRun
  const isSent = cause === 'resync' && atWork.phase !== 'taken' && atWork.phase !== 'detecting'
  const isOfGroup = (scope?.group ?? null) !== null
  const isTriedTwice = cause === 'retry' && atWork.run.cause === 'retry'
  return isSent || (isOfGroup && !isTriedTwice) ? lastRun : lastRun - 1
}

/** True once the last event of the run at work is about to be written. */
function isOver({ run }: AtWork): boolean {
  return run.status === 'held' || isEnded(run.status)
}

function setQueued(life: SyncLife, queued: RunState): Step {
  return stepOf({ ...life, queued: withQueued(life.queued, queued) }, [queued], 'go-on')
}

/**
 * Makes an ordinary run of the resync that follows an approval for a new destination, if that approval has
 * not reset the sync. After a reset it stays a resync, which sends every row whatever `firstRun` says.
 */
function asOrdinary({ first, awaiting }: SyncLife, asked: Asked): Asked {
  const { command } = asked
  if (command.destination !== 'new' || (first && awaiting === null)) return asked
  return { ...asked, command: { ...command, cause: 'manual', scope: null } }
}

/** Queues a run, unless a queued one also does what is asked. */
function queue(life: SyncLife, asked: Asked): Step {
  const run = runOf(life, asked)
  const { queued } = life
  const joined = joinQueued(queued, run)
  const cancelled = { ...run, status: 'cancelled', endedAt: asked.at } as const
  if (joined === null) {
    if (queued.length < MAX_QUEUED) return setQueued(life, run)
    const error = `${queued.length} runs are queued already: ask again once one of them has ended`
    return stepOf(life, [{ ...cancelled, error }], 'go-on')
  }
  // A replacement that somebody also asked for by itself survives a cancel of the interrupted run.
  const interrupted = interruptedOf(life)
  const isReplacement = interrupted !== null && isReplacementOf(joined, interrupted)
  const answer = isReplacement ? { ...joined, command: asked.offset } : joined
  const error = `run ${joined.runId} is queued already and will see the same rows`
  const refused: RunState = { ...cancelled, error, errorCode: 'conflict' }
  if (queued.includes(answer)) return stepOf(life, [refused], 'go-on')
  return stepOf({ ...life, queued: withQueued(queued, answer) }, [answer, refused], 'go-on')
}

/** Cancels the run that the command names, at work, queued or awaiting approval. */
function cancel(life: SyncLife, { command, at }: Asked): Step {
  const { queued, awaiting } = life
  let next = life
  const events: RunState[] = []
  if (awaiting !== null && awaiting.runId === command.run) {
    const ended = cancelledRun(awaiting, at)
    events.push(ended)
    next = { ...withEnd(next, ended), awaiting: null }
  }
  const meant = queued.find(({ runId }) => runId === command.run)
  if (meant !== undefined) {
    const interrupted = interruptedOf(life)
    events.push(cancelledRun(meant, at))
    next = {
      ...next,
      queued: queued.filter(run => run !== meant),
      replacementCancelled:
        life.replacementCancelled || (interrupted !== null && isReplacementOf(meant, interrupted)),
    }
  }
  const { atWork } = next
  if (atWork === null || atWork.run.runId !== command.run || atWork.run.cancelling)
    return stepOf(next, events, 'go-on')
  next = withRun(next, atWork, { cancelling: true })
  // The next owner skips the command, so it learns of the cancel from this event alone. The event of a run
  // that is taken out of the queue still says `queued`.
  const { status } = atWork.run
  if (status === 'running' || status === 'queued') events.push({ ...atWork.run, cancelling: true })
  const more = cancelReplacement(next, at)
  return { ...more, stops: true, events: [...events, ...more.events] }
}

/**
 * Queues the run that the command names, if it awaits approval. If a newer run is queued already, that run
 * takes its place instead. The approval has to fit the reason why the run is held. If the destination has
 * changed, the approval says whether the delivered state is right for the new one, too. If it is not, a reset
 * forgets the state.
 */
function approve(life: SyncLife, asked: Asked): Step {
  const { command, offset } = asked
  const { awaiting, queued } = life
  const changed = awaiting?.held?.destination ?? null
  const answer = command.destination ?? null
  const isMeant =
    awaiting !== null && awaiting.runId === command.run && (changed === null) === (answer === null)
  if (!isMeant || queued.length > 0) return stepOf(life, [], 'go-on')
  if (answer === 'new')
    return setQueued(life, runOf(life, { ...asked, command: { ...command, cause: 'reset' } }))
  const deliveredTo = changed === null ? life.deliveredTo : deliveredToNow(life, changed.to)
  // The run gives its number back: its event has none, so the next owner sees the run before it as the last.
  const lastRun = awaiting.run === null ? life.lastRun : awaiting.run - 1
  return setQueued({ ...life, awaiting: null, deliveredTo, lastRun }, approvedRun(awaiting, offset))
}

/**
 * Queues a reset. It is refused while a run is at work or queued. A run that awaits approval is forgotten
 * with all other runs. If the last event of a run is being written, the reset waits until it is written. A
 * reset that ends a deletion names the incarnation that it takes away.
 */
function queueReset(life: SyncLife, asked: Asked): Step {
  const reset = runOf(life, asked)
  const { command, incarnation = command.run, at } = asked
  if (command.run !== null && command.run !== incarnation) {
    const why = 'the sync was deleted and made again since: nothing is left of what was to be taken away'
    return stepOf(
      life,
      [{ ...reset, status: 'failed', error: why, errorCode: 'conflict', endedAt: at }],
      'go-on',
    )
  }
  const { atWork } = life
  const isDone = atWork === null || isOver(atWork)
  const busy = isDone ? nextOf(life.queued) : atWork.run
  if (busy === undefined) return setQueued(life, reset)
  // If the process of the run is gone, nobody works on it, and waiting would not help.
  const isLeft = !isDone && atWork.isProcessGone
  const finish = isOfStream(busy) ? '' : `finish it with \`sluice run ${asked.command.sync}\`, or `
  const found = isLeft
    ? `run ${busy.runId} was interrupted, and has not come to its end: ${finish}`
    : `run ${busy.runId} is ${busy.status}: wait for its end, or `
  const error =
    isOfStream(busy) && !isLeft
      ? 'the sync streams: set `paused: true` and `sluice apply` first, which ends its run'
      : `${found}end it with \`sluice cancel ${busy.runId}\``
  const refused: RunState = { ...reset, status: 'failed', error, errorCode: 'usage', endedAt: asked.at }
  return stepOf(life, [refused], 'go-on')
}
