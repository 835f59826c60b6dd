/** The events of a run, each made from the one before. */
import { isSluiceError, messageOf } from '@sluice/contracts/errors'
import type { Fault, PartitionReport, RunCause, RunEvent, RunScope } from '@sluice/contracts/records'
import type { StateOwner, PartitionEnd, ErrorPlace, Fired } from '@sluice/contracts/run-records'
import { OPS, type CountsByOp, type Op, type OpCounts } from '@sluice/contracts/state'
import type { RunPurpose } from '@sluice/delivered-state/port'
import { addCounts, countsOf, finishedRows } from '@sluice/domain/counts'
import { endStatus } from '@sluice/domain/run-status'
import { certificateNotices, firstToEnd } from './shown-certificates.ts'

/** A run event before its writer is known. */
export type RunState = Omit<RunEvent, 'marker' | 'sync' | 'incarnation'>

export const INTERRUPTED = 'interrupted: the process that ran it stopped before all changes were published'

/** Nobody mends more at once, and the record has to stay small. */
const MAX_PLACES = 10
const PLACE_TEXT = 1_000

export function queuedRun(of: {
  readonly runId: string
  readonly cause: RunCause
  readonly scope: RunScope | null
  readonly command: number
  readonly partitions: number
  readonly at: number
  /** Who asked for it. Default: null. */
  readonly by?: string | null | undefined
  /** Default: null. */
  readonly fired?: Fired | null
}): RunState {
  return {
    runId: of.runId,
    run: null,
    status: 'queued',
    cause: of.cause,
    scope: of.scope,
    command: of.command,
    cancelling: false,
    definition: null,
    first: false,
    complete: false,
    partitions: of.partitions,
    queuedAt: of.at,
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
    asked: null,
    restoring: null,
    deaths: 0,
    by: of.by ?? null,
    fired: of.fired ?? null,
    aside: null,
    phases: null,
    certificates: null,
    errorPlaces: null,
    // `step` writes it into each event.
    deliveredTo: null,
  }
}

/**
 * A run that somebody approved. It starts again from the queue, and may remove as many rows as it awaited
 * approval for. Somebody who was asked about the destination has approved no removals.
 */
export function approvedRun(awaiting: RunState, command: number): RunState {
  const { runId, cause, scope, partitions, queuedAt: at, by, fired, upTo } = awaiting
  const queued = queuedRun({ runId, cause, scope, command, partitions, at, by, fired })
  const { held } = awaiting
  const approved = (held?.destination ?? null) === null ? (held?.removed ?? null) : null
  return { ...queued, upTo, approved, asked: askedBy(awaiting) }
}

/** A run that is taken out of the queue. */
export function numberedRun(
  queued: RunState,
  of: Pick<RunState, 'first' | 'faults' | 'deaths' | 'startedAt'> & { readonly run: number },
): RunState {
  return { ...queued, ...of, upTo: boundOf({ ...queued, run: of.run }), notices: [] }
}

/** How many removals are still approved of after a cut run with these reports; null where none are. */
export function approvalLeft(
  { approved }: Pick<RunState, 'approved'>,
  reports: readonly Pick<PartitionReport, 'counts'>[],
): number | null {
  const removed = reports.reduce((sum, { counts }) => sum + countsOf(counts, 'removed').delivered, 0)
  const left = (approved ?? 0) - removed
  return left > 0 ? left : null
}

/**
 * A run in the place of one that was cut. It is about the same as that one, so that it does the rest of it
 * and nothing twice: what the cut run left is of a later run than what was asked for. It may remove as much
 * as is left of the cut run's approval.
 */
export function replacementOf(
  cut: RunState,
  { runId, at }: { readonly runId: string; readonly at: number },
): RunState {
  const { cause, scope, command, partitions, by, fired } = cut
  const queued = queuedRun({ runId, cause, scope, command, partitions, at, by, fired })
  return { ...queued, upTo: boundOf(cut), approved: cut.approved ?? null, asked: cut.asked ?? null }
}

/** Offset of the command that asked for the run, which an approval is not. */
export function askedBy({ asked, command }: Pick<RunState, 'asked' | 'command'>): number {
  // Events of an earlier version have no such field.
  return asked ?? command
}

/** True for a run that decides about rows which earlier runs sent, or failed to send. */
export function decides({ cause }: Pick<RunState, 'cause'>): boolean {
  return cause === 'retry' || cause === 'discard' || cause === 'resync'
}

/** A run of an earlier version, whose event does not say it, was about all runs before it. */
function boundOf({ cause, upTo, run }: Pick<RunState, 'cause' | 'upTo' | 'run'>): number | null {
  return upTo ?? (run === null || !decides({ cause }) ? null : run - 1)
}

/**
 * True for a run that takes the place of the cut one: both come of the same command, or of the same instant
 * of the schedule.
 */
export function isReplacementOf(run: RunOrigin, cut: RunOrigin): boolean {
  if (run.runId === cut.runId || run.command !== cut.command) return false
  return run.command >= 0 || (isScheduled(run) && isScheduled(cut) && run.fired?.at === cut.fired?.at)
}

type RunOrigin = Pick<RunState, 'runId' | 'command' | 'cause' | 'fired'>

function isScheduled({ cause, fired }: RunOrigin): boolean {
  return cause === 'schedule' && fired !== null
}

/** The later of two destinations that a sync's delivered state is of. */
export function laterOwner(one: StateOwner | null, other: StateOwner | null): StateOwner | null {
  return (other?.change ?? -1) > (one?.change ?? -1) ? other : one
}

/** The later of two instants up to which the schedule has started runs. */
export function laterFired(one: Fired | null, other: Fired | null): Fired | null {
  return (other?.at ?? -Infinity) > (one?.at ?? -Infinity) ? other : one
}

/**
 * A queued run that also does the work of a run with an approval. It awaits approval again only if more rows
 * would go.
 */
export function withApprovalOf(queued: RunState, { approved }: Pick<RunState, 'approved'>): RunState {
  if ((approved ?? null) === null || (queued.approved ?? -1) >= (approved ?? -1)) return queued
  return { ...queued, approved }
}

/** A run that takes the place of one that awaited approval. */
export interface Newer {
  readonly runId: string
  /** False for one that leaves out some of what the other was to do. */
  readonly doesAsMuch: boolean
}

/** The end of a run that awaited approval: a newer run takes its place. */
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

/**
 * True for a complete run that went through the whole model. A run that discards, or tries some rows again,
 * looks only at rows that failed, and a replay at rows that were sent before. They leave the others to the
 * next run.
 */
export function hasSeenModel(run: Pick<RunState, 'complete' | 'cause' | 'scope'>): boolean {
  return run.complete && run.cause !== 'discard' && run.cause !== 'replay' && !isRetryOfSome(run)
}

/**
 * A run passes over invalid rows, and over those that nobody has decided about. So the doubts about their
 * keys last beyond such a run.
 */
function hasSeenEveryRow(run: RunState): boolean {
  return hasSeenModel(run) && run.rowsInvalid === 0 && (run.undecided ?? 0) === 0
}

/** True for a retry of some of the rows that failed; any other is an ordinary run. */
export function isRetryOfSome({ cause, scope }: Pick<RunState, 'cause' | 'scope'>): boolean {
  return cause === 'retry' && scope !== null
}

/** What a run is for, where it is no ordinary one. */
export function purposeOf(run: RunState): RunPurpose | undefined {
  const { cause, scope } = run
  if (cause === 'resync') return { kind: 'resync', as: scope?.as ?? 'added' }
  const meant = { key: scope?.key ?? null, status: scope?.status ?? null }
  if (cause === 'discard') return { kind: 'discard', ...meant }
  if (cause === 'replay') return { kind: 'replay' }
  if (isRetryOfSome(run)) return { kind: 'retry', ...meant }
  return undefined
}

/** A run that somebody ended before anything of it was published. */
export function cancelledRun(run: RunState, at: number): RunState {
  const counts = nothingSent(run.counts)
  return { ...run, status: 'cancelled', cancelling: true, endedAt: at, held: null, restoring: null, counts }
}

/** A run that ends without having published anything. */
export function failedRun(run: RunState, error: unknown, at: number): RunState {
  const message = messageOf(error)
  const errorCode = isSluiceError(error) ? error.code : 'internal'
  const counts = nothingSent(run.counts)
  const said = { error: message, errorCode, errorPlaces: placesOf(error) }
  return { ...run, status: 'failed', ...said, endedAt: at, restoring: null, counts }
}

function placesOf(error: unknown): readonly ErrorPlace[] | null {
  if (!isSluiceError(error) || error.details.length === 0) return null
  return error.details
    .slice(0, MAX_PLACES)
    .map(({ file = null, field = null, line = null, column = null, message }) => {
      return { file, field, line, column, message: message.slice(0, PLACE_TEXT) }
    })
}

/**
 * The end of a run whose partitions are all reported. `endsBefore` says where the run before ended, for the
 * partitions whose end this run has not reached.
 */
export function endedRun(
  run: RunState,
  reports: readonly PartitionReport[],
  of: { readonly sealed: boolean; readonly at: number; readonly endsBefore?: readonly PartitionEnd[] },
): RunState {
  const finished = reports.reduce<CountsByOp>((sum, report) => addCounts(sum, report.counts), {})
  const faulted = reports.find(report => report.faultedFrom !== null)
  const merged = of.sealed ? withDetected(finished) : mergeDetected(run.counts, finished)
  const counts = faulted === undefined ? merged : withUnknown(merged)
  const error =
    run.error ?? faultOf(faulted) ?? mismatchOf(counts) ?? (of.sealed && !run.cancelling ? INTERRUPTED : null)
  const { rowsInvalid, cancelling } = run
  const certificates = firstToEnd(reports)
  return {
    ...run,
    certificates: certificates.length === 0 ? null : certificates,
    notices: [...new Set([...run.notices, ...certificateNotices(certificates, of.at)])],
    status: endStatus({ counts, rowsInvalid, error, cancelled: cancelling }),
    endedAt: of.at,
    counts,
    error,
    errorCode: error === null ? null : (run.errorCode ?? faulted?.errorCode ?? 'internal'),
    ends: reports.flatMap(report => endOf(report, of.endsBefore ?? [])),
    faults: [...(hasSeenEveryRow(run) ? [] : run.faults), ...faultsOf(run, reports)],
  }
}

function faultsOf(run: RunState, reports: readonly PartitionReport[]): readonly Fault[] {
  return reports.flatMap(({ partition, faultedFrom }) =>
    faultedFrom === null || run.run === null ? [] : [{ partition, run: run.run, from: faultedFrom }],
  )
}

function faultOf(faulted: PartitionReport | undefined): string | null {
  return faulted === undefined
    ? null
    : `partition ${faulted.partition}: ${faulted.error ?? 'records are missing'}`
}

/**
 * Where a partition ends. A partition whose end this run did not reach ends where the run before ended. The
 * topic may not be shorter than that, and no record behind it may be dropped.
 */
function endOf(report: PartitionReport, before: readonly PartitionEnd[]): readonly PartitionEnd[] {
  const { partition, requestsEnd: requests, attemptsEnd: attempts } = report
  if (isReached(report)) return [{ partition, requests, attempts }]
  return before.filter(end => end.partition === partition)
}

/** False where a partition's part of the run is over, though a stage has not come to its end. */
export function isReached(report: Pick<PartitionReport, 'faultedFrom' | 'requestsEnd'>): boolean {
  return report.faultedFrom === null || report.requestsEnd > 0
}

/** What a run detected and did not publish is unsent (R14). */
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

/** Counts as detected what a cut run published. */
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
