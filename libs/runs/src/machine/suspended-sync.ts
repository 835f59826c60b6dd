/**
 * The runs of a suspended sync. No process can own it, since something that it needs is missing, wrong or
 * refused (PROTOCOL.md §11). Its run, and each run that somebody asks for, fail with the reason. A reset may
 * be the remedy.
 */
import { isSluiceError, messageOf } from '@sluice/contracts/errors'
import type { PartitionReport } from '@sluice/contracts/records'
import { cancelledRun, endedRun, failedRun, queuedRun, type RunState } from './run-events.ts'
import {
  stepOf,
  withEnd,
  type Suspension,
  type Asked,
  type Due,
  type Step,
  type SyncLife,
} from './sync-life.ts'
import { isFired, scheduledRun } from './take-due.ts'

/**
 * Ends the run at work and the queued one. A run that awaits approval stays, since no process works on it. If
 * a topic is lost, that run ends, too, since it could never go on. A queued reset is carried out.
 */
export function suspend(life: SyncLife, aside: Suspension): Step {
  const { atWork, awaiting, queued } = life
  const resets = queued.filter(({ cause }) => cause === 'reset')
  const waitsOn = awaiting !== null && !isSluiceError(aside.error, 'lost-topic')
  const ended = [
    ...(atWork === null ? [] : [endOf(atWork.run, aside)]),
    ...(awaiting === null || waitsOn ? [] : [endOf(awaiting, aside)]),
    ...queued.filter(run => !resets.includes(run)).map(run => endOf(run, aside)),
  ]
  const left = { atWork: null, awaiting: waitsOn ? awaiting : null, queued: resets }
  return stepOf({ ...ended.reduce(withEnd, life), ...left }, ended, resets.length > 0 ? 'reset' : 'wait')
}

/**
 * Takes a command to a suspended sync. A reset is carried out. Every other command that needs the sync fails.
 */
export function takeCommandSuspended(
  life: SyncLife,
  { command, offset, at }: Asked,
  aside: Suspension,
): Step {
  if (offset <= life.lastCommand) return stepOf(life, [], 'wait')
  const { id: runId, kind, cause, scope } = command
  const taken = { ...life, lastCommand: offset }
  const run = queuedRun({
    runId,
    cause,
    scope: scope ?? null,
    command: offset,
    partitions: 0,
    at,
    fired: life.fired,
  })
  if (kind === 'reset') return stepOf({ ...taken, queued: [run] }, [], 'reset')
  if (kind === 'run') return stepOf(taken, [endOf(run, aside)], 'wait')
  const { awaiting } = life
  if (awaiting === null || awaiting.runId !== command.run) return stepOf(taken, [], 'wait')
  const ended = kind === 'cancel' ? cancelledRun(awaiting, at) : endOf(awaiting, aside)
  return stepOf({ ...withEnd(taken, ended), awaiting: null }, [ended], 'wait')
}

/** Fails an instant of the schedule like a command, so that people see that their sync does not run. */
export function takeDueSuspended(life: SyncLife, due: Due, aside: Suspension): Step {
  if (isFired(life, due)) return stepOf(life, [], 'wait')
  const ended = endOf(scheduledRun({ ...due, partitions: 0 }), aside)
  return stepOf({ ...life, fired: due.fired }, [ended], 'wait')
}

/** Ends a reset that the log refuses, too. */
export function failReset(life: SyncLife, { error, at }: Pick<Suspension, 'error' | 'at'>): Step {
  const { queued } = life
  return stepOf(
    { ...life, queued: [] },
    queued.map(run => failedRun(run, error, at)),
    'wait',
  )
}

/**
 * Ends a run with the reason. If the run has begun, its end has the counts that were reported. The rest may
 * still be delivered, so the next run takes it as unknown.
 */
function endOf(run: RunState, aside: Suspension): RunState {
  const { error, at, endsBefore } = aside
  if (run.run === null) return { ...failedRun(run, error, at), aside: true }
  const message = messageOf(error)
  const errorCode = isSluiceError(error) ? error.code : 'internal'
  const partitions = Array.from({ length: run.partitions }, (_, partition) => partition)
  const reports = partitions.map(partition => reportOf(run, partition, { ...aside, message }))
  const failed = { ...run, held: null, error: message, errorCode }
  return { ...endedRun(failed, reports, { endsEarly: !run.complete, at, endsBefore }), aside: true }
}

/**
 * Returns the partition's last report on the run. Without one, makes a report that its changes are unknown.
 */
function reportOf(
  { run }: RunState,
  partition: number,
  { sync, incarnation, reports, message }: Suspension & { readonly message: string },
): PartitionReport {
  const own = reports.find(report => report.partition === partition && report.run === run)
  if (own?.ended === true) return own
  const { marker = -1, counts = {}, attemptsEnd = 0 } = own ?? {}
  const place = { sync, incarnation, run: run ?? 0, partition, marker, counts, attemptsEnd }
  const end = { ended: true, faultedFrom: 0, error: message, errorCode: null } as const
  const phases = own?.phases ?? null
  return { ...place, ...end, waits: [], phases, certificates: null, requestsEnd: 0 }
}
