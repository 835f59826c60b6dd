/**
 * What a command does to a sync's runs (PROTOCOL.md §12). Commands are taken while a run is at work. One more
 * run may be queued behind it (R13). A command is taken once: one at or below the last one taken is passed
 * over. A command after a reset waits for the next incarnation.
 */
import { SluiceError } from '@sluice/contracts/errors'
import { isEnded } from '@sluice/domain/run-status'
import { joinQueued } from './join-queued.ts'
import { cancelReplacement, leftOf } from './left-run.ts'
import { approvedRun, cancelledRun, isReplacementOf, queuedRun, type RunState } from './run-events.ts'
import { stepOf, withEnd, withRun, type Asked, type Step, type SyncLife } from './sync-life.ts'

export function takeCommand(life: SyncLife, asked: Asked): Step {
  const { command, offset } = asked
  if (isResetting(life)) throw new SluiceError('internal', `command ${command.id} came after a reset`)
  if (offset <= life.lastCommand) return stepOf(life, [], 'go-on')
  const taken = { ...life, lastCommand: offset }
  switch (command.kind) {
    case 'run':
      return queue(taken, asked)
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

/** True from the moment at which a reset is queued: what comes after it is for the next incarnation. */
export function isResetting({ queued, atWork }: SyncLife): boolean {
  return queued?.cause === 'reset' || atWork?.run.cause === 'reset'
}

function runOf({ fired }: SyncLife, { command, offset, partitions, at }: Asked): RunState {
  const { id: runId, cause, scope, by } = command
  return queuedRun({ runId, cause, scope: scope ?? null, command: offset, partitions, at, by, fired })
}

function setQueued(life: SyncLife, queued: RunState): Step {
  return stepOf({ ...life, queued }, [queued], 'go-on')
}

/**
 * Queues a run. A run that is queued already does what is asked, too; if it cannot, the new one is refused.
 */
function queue(life: SyncLife, asked: Asked): Step {
  const run = runOf(life, asked)
  const { queued } = life
  if (queued === null) return setQueued(life, run)
  const joined = joinQueued(queued, run)
  const cancelled = { ...run, status: 'cancelled', endedAt: asked.at } as const
  if (joined.kind === 'refused') return stepOf(life, [{ ...cancelled, error: joined.why }], 'go-on')
  // Since somebody asked for it by itself, a cancel of the cut run no longer ends it.
  const left = leftOf(life)
  const isReplacement = left !== null && isReplacementOf(queued, left)
  const does = isReplacement ? { ...joined.queued, command: asked.offset } : joined.queued
  const error = `run ${queued.runId} is queued already and will see the same rows`
  const refused: RunState = { ...cancelled, error, errorCode: 'conflict' }
  return stepOf({ ...life, queued: does }, does === queued ? [refused] : [does, refused], 'go-on')
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
  if (queued !== null && queued.runId === command.run) {
    const left = leftOf(life)
    events.push(cancelledRun(queued, at))
    next = {
      ...next,
      queued: null,
      replacementCancelled: life.replacementCancelled || (left !== null && isReplacementOf(queued, left)),
    }
  }
  const { atWork } = next
  if (atWork === null || atWork.run.runId !== command.run || atWork.run.cancelling)
    return stepOf(next, events, 'go-on')
  next = withRun(next, atWork, { cancelling: true })
  // Only its event tells the next owner of the cancel: that owner passes over the command. A run that is
  // taken out of the queue still says `queued`.
  const { status } = atWork.run
  if (status === 'running' || status === 'queued') events.push({ ...atWork.run, cancelling: true })
  const more = cancelReplacement(next, at)
  return { ...more, stops: true, events: [...events, ...more.events] }
}

/**
 * Queues the run that the command names, if it awaits approval. If a newer run is queued already, that one
 * takes its place instead.
 */
function approve(life: SyncLife, { command, offset }: Asked): Step {
  const { awaiting, queued } = life
  if (awaiting === null || awaiting.runId !== command.run || queued !== null) return stepOf(life, [], 'go-on')
  return setQueued({ ...life, awaiting: null }, approvedRun(awaiting, offset))
}

/**
 * Refused while a run is at work or queued. A run that awaits approval is forgotten with all other runs.
 * While the last event of a run is being written, the reset is queued, and waits for that. One that ends a
 * deletion names the incarnation that it takes away.
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
  const isDone = atWork === null || atWork.run.status === 'held' || isEnded(atWork.run.status)
  const busy = isDone ? life.queued : atWork.run
  if (busy === null) return setQueued(life, reset)
  // Nobody is at work on a run whose process is gone, so waiting would not help.
  const found =
    !isDone && atWork.isInterrupted
      ? `run ${busy.runId} was cut off, and has not come to its end: finish it with \`sluice run ${asked.command.sync}\``
      : `run ${busy.runId} is ${busy.status}: wait for its end`
  const error = `${found}, or end it with \`sluice cancel ${busy.runId}\``
  const refused: RunState = { ...reset, status: 'failed', error, errorCode: 'usage', endedAt: asked.at }
  return stepOf(life, [refused], 'go-on')
}
