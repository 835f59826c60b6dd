/** The events of a run, each made from the one before. */
import { isSluiceError, messageOf } from '@sluice/contracts/errors'
import type {
  ErrorPlace,
  Fault,
  Fired,
  PartitionEnd,
  PartitionReport,
  RunCause,
  RunEvent,
  RunScope,
  StateOwner,
} from '@sluice/contracts/records'
import { OPS, type CountsByOp, type Op, type OpCounts } from '@sluice/contracts/state'
import type { RunPurpose } from '@sluice/delivered-state/port'
import { parseGroup } from '@sluice/domain/answers/failed-group'
import { keptFailures } from '@sluice/domain/answers/failures-of-run'
import { addCounts, countsOf, finishedRows } from '@sluice/domain/counts'
import { endStatus } from '@sluice/domain/run-status'
import { isOfStream } from '@sluice/domain/stream-minutes'
import { certificateNotices, firstToEnd } from './shown-certificates.ts'

/** A run event before its writer is known. */
export type RunState = Omit<RunEvent, 'marker' | 'sync' | 'incarnation'>

export const INTERRUPTED = 'interrupted: the process that ran it stopped before all changes were published'

/** An event names up to this many places of errors, since the record has to stay small. */
const MAX_PLACES = 10
const MAX_PLACE_TEXT = 1_000

export function queuedRun({
  runId,
  cause,
  scope,
  command,
  partitions,
  at,
  by = null,
  fired = null,
}: {
  readonly runId: string
  readonly cause: RunCause
  readonly scope: RunScope | null
  readonly command: number
  readonly partitions: number
  readonly at: number
  /** The person who asked for it. */
  readonly by?: string | null | undefined
  readonly fired?: Fired | null
}): RunState {
  return {
    runId,
    run: null,
    status: 'queued',
    cause,
    scope,
    command,
    cancelling: false,
    definition: null,
    first: false,
    complete: false,
    partitions,
    queuedAt: at,
    startedAt: null,
    endedAt: null,
    rowsRead: 0,
    rowsInvalid: 0,
    invalidSamples: [],
    undecided: 0,
    counts: {},
    error: null,
    errorCode: null,
    notices: [],
    ends: [],
    faults: [],
    held: null,
    approved: null,
    upTo: null,
    upToSlices: null,
    asked: null,
    restoring: null,
    deaths: 0,
    by,
    fired,
    aside: null,
    phases: null,
    certificates: null,
    errorPlaces: null,
    // `step` writes it into each event.
    deliveredTo: null,
  }
}

/**
 * Queues an approved run again. It may remove as many rows as it awaited approval for. An approval of a
 * destination approves no removals.
 */
export function approvedRun(awaiting: RunState, command: number): RunState {
  const { runId, cause, scope, partitions, queuedAt: at, by, fired, upTo, upToSlices = null } = awaiting
  const queued = queuedRun({ runId, cause, scope, command, partitions, at, by, fired })
  const { held } = awaiting
  const approved = (held?.destination ?? null) === null ? (held?.removed ?? null) : null
  return { ...queued, upTo, upToSlices, approved, asked: askedBy(awaiting) }
}

/** Takes a run out of the queue, and numbers it. */
export function numberedRun(
  queued: RunState,
  begun: Pick<RunState, 'first' | 'faults' | 'deaths' | 'startedAt'> & { readonly run: number },
): RunState {
  return { ...queued, ...begun, upTo: boundOf({ ...queued, run: begun.run }), notices: [] }
}

/**
 * Returns how many removals are still approved after an interrupted run with these reports; null if none are.
 */
export function approvalLeft(
  { approved }: Pick<RunState, 'approved'>,
  reports: readonly Pick<PartitionReport, 'counts'>[],
): number | null {
  const removed = reports.reduce((sum, { counts }) => sum + countsOf(counts, 'removed').delivered, 0)
  const left = (approved ?? 0) - removed
  return left > 0 ? left : null
}

/**
 * Makes the run that replaces an interrupted one. It keeps `upTo`. Rows that the interrupted run sent belong
 * to a later run than `upTo`, so they are not sent again. The new run may remove as many rows as the approval
 * has left.
 */
export function replacementOf(
  interrupted: RunState,
  { runId, at }: { readonly runId: string; readonly at: number },
): RunState {
  const { cause, scope, command, partitions, by, fired, approved, asked } = interrupted
  const queued = queuedRun({ runId, cause, scope, command, partitions, at, by, fired })
  const { upToSlices = null } = interrupted
  const upTo = boundOf(interrupted)
  return { ...queued, upTo, upToSlices, approved: approved ?? null, asked: asked ?? null }
}

/** Returns the offset of the command that asked for the run, and not of one that approved it. */
export function askedBy({ asked, command }: Pick<RunState, 'asked' | 'command'>): number {
  // Events of an earlier version have no such field.
  return asked ?? command
}

/** True for a run that decides about rows which earlier runs sent, or failed to send. */
export function decides({ cause }: Pick<RunState, 'cause'>): boolean {
  return cause === 'retry' || cause === 'discard' || cause === 'resync'
}

/**
 * Returns the last run that a decision is about; null for other runs. A decision of an earlier version, whose
 * event lacks `upTo`, was about all runs before it.
 */
function boundOf({ cause, upTo, run }: Pick<RunState, 'cause' | 'upTo' | 'run'>): number | null {
  return upTo ?? (run === null || !decides({ cause }) ? null : run - 1)
}

/**
 * True if the first run replaces the second: both come from the same command, or from the same instant of the
 * schedule.
 */
export function isReplacementOf(run: RunOrigin, interrupted: RunOrigin): boolean {
  if (run.runId === interrupted.runId || run.command !== interrupted.command) return false
  if (run.command >= 0) return true
  return isScheduled(run) && isScheduled(interrupted) && run.fired?.at === interrupted.fired?.at
}

type RunOrigin = Pick<RunState, 'runId' | 'command' | 'cause' | 'fired'>

function isScheduled({ cause, fired }: RunOrigin): boolean {
  return cause === 'schedule' && fired !== null
}

/** Returns the later of two destinations of a sync's delivered state. */
export function laterDestination(one: StateOwner | null, other: StateOwner | null): StateOwner | null {
  return (other?.change ?? -1) > (one?.change ?? -1) ? other : one
}

/** Returns the later of two instants up to which the schedule has started runs. */
export function laterFired(one: Fired | null, other: Fired | null): Fired | null {
  return (other?.at ?? -Infinity) > (one?.at ?? -Infinity) ? other : one
}

/**
 * Gives a queued run the approval of a run whose work it also does. The queued run awaits approval again only
 * if it would remove more rows.
 */
export function withApprovalOf(queued: RunState, { approved }: Pick<RunState, 'approved'>): RunState {
  if ((approved ?? null) === null || (queued.approved ?? -1) >= (approved ?? -1)) return queued
  return { ...queued, approved }
}

/** A run that replaces one that awaited approval. */
export interface Newer {
  readonly runId: string
  /** False if it leaves out some of the replaced run's work. */
  readonly doesAsMuch: boolean
}

/** Ends a run that awaited approval, since a newer run takes its place. */
export function supersededRun(awaiting: RunState, { runId, doesAsMuch }: Newer, at: number): RunState {
  const replaced = `run ${runId}, which is newer, took its place before anybody approved it`
  const error = doesAsMuch ? replaced : `${replaced}. It does not do the same, so ask for this one again`
  return {
    ...awaiting,
    status: 'cancelled',
    error,
    endedAt: at,
    held: null,
    counts: nothingSent(awaiting.counts),
  }
}

/** True for a complete run that went through the whole model. */
export function hasSeenModel(run: Pick<RunState, 'complete' | 'cause' | 'scope'>): boolean {
  return run.complete && !isOfSomeRows(run)
}

/**
 * True for a run that leaves other rows to the next run: a discard, or a retry of some rows, looks only at
 * rows that failed, and a replay only at rows that were sent before.
 */
export function isOfSomeRows(run: Pick<RunState, 'cause' | 'scope'>): boolean {
  return run.cause === 'discard' || run.cause === 'replay' || isRetryOfSome(run)
}

/**
 * True for a complete run that skipped no row. A run skips invalid rows, and rows that nobody has decided
 * about, so these rows stay uncertain after it.
 */
function hasSeenEveryRow(run: RunState): boolean {
  return hasSeenModel(run) && run.rowsInvalid === 0 && (run.undecided ?? 0) === 0
}

/** True for a retry of some of the rows that failed. Any other retry works like an ordinary run. */
export function isRetryOfSome({ cause, scope }: Pick<RunState, 'cause' | 'scope'>): boolean {
  return cause === 'retry' && scope !== null
}

/** Returns the purpose of a run; undefined for an ordinary one. */
export function purposeOf(run: RunState): RunPurpose | undefined {
  const { cause, scope } = run
  if (cause === 'resync') return { kind: 'resync', as: scope?.as ?? 'added' }
  const group = parseGroup(scope?.group ?? '')
  const key = scope?.key ?? null
  const meant =
    group === null ? { key, status: scope?.status ?? null } : { key, status: group.status ?? null, group }
  if (cause === 'discard') return { kind: 'discard', ...meant }
  if (cause === 'replay') return { kind: 'replay' }
  if (isRetryOfSome(run)) return { kind: 'retry', ...meant }
  return undefined
}

/** Cancels a run of which nothing was published. */
export function cancelledRun(run: RunState, at: number): RunState {
  const counts = nothingSent(run.counts)
  return { ...run, status: 'cancelled', cancelling: true, endedAt: at, held: null, restoring: null, counts }
}

/** Fails a run of which nothing was published. */
export function failedRun(run: RunState, error: unknown, at: number): RunState {
  const message = messageOf(error)
  const errorCode = isSluiceError(error) ? error.code : 'internal'
  const counts = nothingSent(run.counts)
  const errors = { error: message, errorCode, errorPlaces: placesOf(error) }
  return { ...run, status: 'failed', ...errors, endedAt: at, restoring: null, counts }
}

function placesOf(error: unknown): readonly ErrorPlace[] | null {
  if (!isSluiceError(error) || error.details.length === 0) return null
  return error.details
    .slice(0, MAX_PLACES)
    .map(({ file = null, field = null, line = null, column = null, message }) => {
      return { file, field, line, column, message: message.slice(0, MAX_PLACE_TEXT) }
    })
}

/**
 * Ends a run whose partitions are all reported. `endsEarly` is true for a run that did not publish all of its
 * changes. `endsBefore` says where the run before ended, for the partitions whose end this run has not
 * reached.
 */
export function endedRun(
  run: RunState,
  reports: readonly PartitionReport[],
  options: {
    readonly endsEarly: boolean
    readonly at: number
    readonly endsBefore?: readonly PartitionEnd[]
  },
): RunState {
  const { endsEarly, at, endsBefore = [] } = options
  const finished = reports.reduce<CountsByOp>((sum, report) => addCounts(sum, report.counts), {})
  const faulted = reports.find(report => report.faultedFrom !== null)
  // The last event of a stream may be older than its last slices, if another owner ends the run.
  const countsFinished = endsEarly || isOfStream(run)
  const merged = countsFinished ? withDetected(finished) : mergeDetected(run.counts, finished)
  const counts = faulted === undefined ? merged : withUnknown(merged)
  // The next run of a stream reads on where this one ended.
  const isInterrupted = endsEarly && !run.cancelling && !isOfStream(run)
  const error = run.error ?? faultOf(faulted) ?? mismatchOf(counts) ?? (isInterrupted ? INTERRUPTED : null)
  const { rowsInvalid, cancelling } = run
  const certificates = firstToEnd(reports)
  return {
    ...run,
    certificates: certificates.length === 0 ? null : certificates,
    notices: [...new Set([...run.notices, ...certificateNotices(certificates, at)])],
    status: endStatus({ counts, rowsInvalid, error, cancelled: cancelling }),
    endedAt: at,
    counts,
    error,
    errorCode: error === null ? null : (run.errorCode ?? faulted?.errorCode ?? 'internal'),
    ends: reports.flatMap(report => endOf(report, endsBefore)),
    // A stream may leave the rows to a later run, which sees whether they are still uncertain.
    faults: [...(hasSeenEveryRow(run) && !isOfStream(run) ? [] : run.faults), ...faultsOf(run, reports)],
    failures: keptFailures(reports),
  }
}

function faultsOf(run: RunState, reports: readonly PartitionReport[]): readonly Fault[] {
  return reports.flatMap(({ partition, faultedFrom }) =>
    faultedFrom === null || run.run === null ? [] : [{ partition, run: run.run, from: faultedFrom }],
  )
}

function faultOf(faulted: PartitionReport | undefined): string | null {
  if (faulted === undefined) return null
  return faulted.error ?? `records of the partition ${faulted.partition} are missing`
}

/**
 * Returns where the run ends in a partition. If it did not reach its end there, it ends where the run before
 * did, so that no later record is dropped.
 */
function endOf(report: PartitionReport, before: readonly PartitionEnd[]): readonly PartitionEnd[] {
  const { partition, requestsEnd: requests, attemptsEnd: attempts } = report
  if (isReached(report)) return [{ partition, requests, attempts }]
  return before.filter(end => end.partition === partition)
}

/** False for a partition in which the run ended before a stage had reached the run's end. */
export function isReached(report: Pick<PartitionReport, 'faultedFrom' | 'requestsEnd'>): boolean {
  return report.faultedFrom === null || report.requestsEnd > 0
}

/** Counts the changes that a run detected and did not publish as unsent (R14). */
function nothingSent(detected: CountsByOp): CountsByOp {
  const counts: { [op in Op]?: OpCounts } = {}
  for (const op of OPS) {
    const own = detected[op]
    if (own !== undefined) counts[op] = { ...own, unsent: own.detected }
  }
  return counts
}

/** Says which detected changes are not accounted for; null if all are (R14). */
function mismatchOf(counts: CountsByOp): string | null {
  for (const op of OPS) {
    const detected = countsOf(counts, op).detected
    const finished = finishedRows({ [op]: countsOf(counts, op) })
    if (detected !== finished) return `${detected} rows were ${op}, and ${finished} of them are accounted for`
  }
  return null
}

/** Counts the changes that no stage accounts for as unknown. */
function withUnknown(counts: CountsByOp): CountsByOp {
  const filled: { [op in Op]?: OpCounts } = {}
  for (const op of OPS) {
    const own = counts[op]
    if (own === undefined) continue
    const lost = Math.max(0, own.detected - finishedRows({ [op]: own }))
    filled[op] = { ...own, unknown: own.unknown + lost }
  }
  return filled
}

/** Counts as detected the changes that an interrupted or cancelled run published. */
function withDetected(finished: CountsByOp): CountsByOp {
  const counts: { [op in Op]?: OpCounts } = {}
  for (const op of OPS) {
    const own = finished[op]
    if (own !== undefined) counts[op] = { ...own, detected: finishedRows({ [op]: own }) }
  }
  return counts
}

function mergeDetected(detected: CountsByOp, finished: CountsByOp): CountsByOp {
  const counts: { [op in Op]?: OpCounts } = {}
  for (const op of OPS) {
    if (detected[op] === undefined && finished[op] === undefined) continue
    counts[op] = { ...countsOf(finished, op), detected: countsOf(detected, op).detected }
  }
  return counts
}
