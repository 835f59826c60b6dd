/** Runs as people see them, made from the events and reports in the topic `runs`. */
import { isoTime } from '@sluice/domain/iso-time'
import type { RunView, SyncView, WaitView } from '@sluice/contracts/api'
import { isErrorCode } from '@sluice/contracts/errors'
import type { PartitionReport, RunEvent, Wait } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { OPS, type CountsByOp, type Op } from '@sluice/contracts/state'
import { addCounts, countsOf, detectedRows, totalOf, undeliveredRows } from '@sluice/domain/counts'
import { changeOf } from '@sluice/domain/held/delivered-to'
import { isEnded } from '@sluice/domain/run-status'
import { triggeredOps } from '@sluice/domain/definition'
import { partitionTimes } from '@sluice/runs/machine/phase-times'
import { streamProgress } from './stream-view.ts'
import { isFailing, isOfRejectedRows, runProgress } from './run-progress.ts'

/**
 * `definition` is the definition that the run is pinned to; null before the run is pinned. `reports` are the
 * latest reports of the sync's partitions, which give the counts of a run under way. `elsewhere` are the
 * waits that delivery does not report. `events` are the known runs of the sync, the oldest first.
 */
export function runView(
  event: RunEvent,
  definition: Definition | null,
  reports: ReadonlyMap<number, PartitionReport>,
  {
    elsewhere = [],
    events = [],
  }: { readonly elsewhere?: readonly Wait[]; readonly events?: Iterable<RunEvent> } = {},
): RunView {
  const counts = countsByNow(event, reports)
  const fails = isFailing(event, counts) && !isOfRejectedRows(event, { counts, reports, events })
  const ops =
    definition === null ? OPS.filter(op => counts[op] !== undefined) : [...triggeredOps(definition.sync)]
  // Events of an earlier version have no such field.
  const restoring = event.restoring ?? null
  const waiting = waitsOf(event, reports, elsewhere)
  const phases = phasesOf(event, { reports, counts, fails })
  return {
    id: event.runId,
    sync: event.sync,
    status: event.status,
    cause: event.cause,
    startedAt: isoTime(event.startedAt),
    endedAt: isoTime(event.endedAt),
    rowsRead: event.rowsRead,
    rowsInvalid: event.rowsInvalid,
    error: event.error,
    ...(event.errorCode !== null && isErrorCode(event.errorCode) ? { errorCode: event.errorCode } : {}),
    ...detailsOf(event),
    triggers: Object.fromEntries(inReadingOrder(ops).map(op => [op, countsOf(counts, op)])),
    ...(event.invalidSamples.length === 0 ? {} : { invalidRows: [...event.invalidSamples] }),
    ...heldOf(event),
    ...(event.status === 'running' && restoring !== null ? { restoring: { ...restoring } } : {}),
    ...(waiting.length === 0 ? {} : { waiting }),
    ...(phases.length === 0 ? {} : { phases }),
    ...ofSchedule(event),
    // Events of an earlier version have no such field.
    ...((event.by ?? null) === null ? {} : { by: event.by ?? '' }),
    ...((event.undecided ?? 0) > 0 ? { rowsHeldBack: event.undecided ?? 0 } : {}),
    ...(event.aside === true ? { setAside: true } : {}),
    ...(event.notices.length === 0 ? {} : { notices: [...event.notices] }),
    ...ofStream(event),
    ...runProgress(event, { counts, reports, fails, now: Date.now() }),
  }
}

/** The counts of a run, with all its triggers added up. */
export function runSums(
  event: RunEvent,
  reports: ReadonlyMap<number, PartitionReport>,
): NonNullable<SyncView['runs']>[number] {
  const counts = countsByNow(event, reports)
  const delivered = totalOf(counts, 'delivered')
  const figures = { detected: detectedRows(counts), delivered, failed: undeliveredRows(counts) }
  const { runId: id, status, startedAt, endedAt } = event
  return { id, status, startedAt: isoTime(startedAt), endedAt: isoTime(endedAt), ...figures }
}

/** The counts of a run. For a run under way, these are the counts that delivery has reported so far. */
export function countsByNow(event: RunEvent, reports: ReadonlyMap<number, PartitionReport>): CountsByOp {
  let counts = event.counts
  if (isEnded(event.status)) return counts
  for (const report of reports.values())
    if (report.run === event.run) counts = addCounts(counts, report.counts)
  return counts
}

/** Events of an earlier version have no such field. */
function detailsOf({ errorPlaces }: RunEvent): Pick<RunView, 'errorDetails'> {
  const places = errorPlaces ?? []
  if (places.length === 0) return {}
  const errorDetails = places.map(({ message, ...place }) => {
    const known = Object.entries(place).filter(([, value]) => value !== null)
    return { ...Object.fromEntries(known), message }
  })
  return { errorDetails }
}

/** The reason why a run is held, while it is held. Events of an earlier version name no destination. */
function heldOf({ status, held }: RunEvent): Pick<RunView, 'held'> {
  if (status !== 'held' || held === null) return {}
  const { removed, rows, samples, destination = null } = held
  const why = { removed, rows, samples: [...samples] }
  if (destination === null) return { held: why }
  const { from, to } = destination
  return {
    held: {
      ...why,
      destination: { from: from.url, to: to.url, why: `destination changed: ${changeOf(destination)}` },
    },
  }
}

function ofStream({ stream }: RunEvent): Pick<RunView, 'stream'> {
  return stream === null || stream === undefined ? {} : { stream: streamProgress(stream) }
}

/** The instant at which a run of the schedule was due. */
function ofSchedule({ cause, fired }: RunEvent): { dueAt?: string } {
  const dueAt = cause === 'schedule' ? isoTime(fired?.at ?? null) : null
  return dueAt === null ? {} : { dueAt }
}

/** Sorts operations as people read them: additions first. */
function inReadingOrder(ops: readonly Op[]): readonly Op[] {
  return [...OPS].reverse().filter(op => ops.includes(op))
}

type PhaseView = NonNullable<RunView['phases']>[number]

/** The phases of a run with their times. The reports give the times of a run under way. */
function phasesOf(
  event: RunEvent,
  {
    reports,
    counts,
    fails,
  }: {
    readonly reports: ReadonlyMap<number, PartitionReport>
    readonly counts: CountsByOp
    readonly fails: boolean
  },
): PhaseView[] {
  const { startedAt, phases, status, endedAt: over } = event
  if (startedAt === null || status === 'queued') return []
  const own = [...reports.values()].filter(({ run }) => run === event.run)
  const isUnderWay = status === 'running' && own.length > 0
  const sent = { ...phases, ...(isUnderWay ? partitionTimes(own) : {}) }
  const { publishingFrom = null, publishedAt = null, sentAt = null, heldAt = null } = phases ?? {}
  const { renderingFrom = null, renderedAt = null, sendingFrom = null } = sent
  const all: readonly (readonly [PhaseView['phase'], number | null, number | null])[] = [
    ['detecting', startedAt, publishingFrom ?? heldAt],
    ['publishing', publishingFrom, publishedAt],
    ['rendering', renderingFrom, renderedAt ?? sentAt],
    ['sending', sendingFrom, sentAt],
    ['finishing', sentAt, over],
  ]
  const begun = all.flatMap(([phase, from, to]): BegunPhase[] => {
    const start = isoTime(from)
    return start === null ? [] : [{ phase, startedAt: start, to }]
  })
  const failed = failedPhase(event, { begun, counts, fails })
  return begun.map(({ to, ...phase }) => {
    const isFailed = phase.phase === failed
    return { ...phase, endedAt: isoTime(to ?? over), ...(isFailed ? { failed: true } : {}) }
  })
}

interface BegunPhase extends Pick<PhaseView, 'phase' | 'startedAt'> {
  /** In ms since 1970; null if the phase did not end. */
  readonly to: number | null
}

/** The first phase that a failed run did not end, or the phase in which all rows failed. */
function failedPhase(
  { status, endedAt }: RunEvent,
  {
    begun,
    counts,
    fails,
  }: { readonly begun: readonly BegunPhase[]; readonly counts: CountsByOp; readonly fails: boolean },
): PhaseView['phase'] | null {
  if (endedAt === null) return null
  if (status === 'failed') return (begun.find(({ to }) => to === null) ?? begun.at(-1))?.phase ?? null
  if (!fails) return null
  return totalOf(counts, 'attempts') + totalOf(counts, 'unsent') === 0 ? 'rendering' : 'sending'
}

/**
 * The waits of a run, each once. A wait begins when the first partition begins to wait, and lasts until the
 * last partition can continue. A run that has ended waits for nothing.
 */
function waitsOf(
  event: RunEvent,
  reports: ReadonlyMap<number, PartitionReport>,
  elsewhere: readonly Wait[],
): WaitView[] {
  return [...onceEach([...elsewhere, ...waitsIn(event, reports)])].flatMap(waitView)
}

function waitsIn(event: RunEvent, reports: ReadonlyMap<number, PartitionReport>): readonly Wait[] {
  const { status, held, queuedAt, endedAt } = event
  if (status === 'held' && held !== null) {
    const changed = held.destination ?? null
    const detail =
      changed === null
        ? `somebody to approve that ${held.removed} of ${held.rows} rows are removed`
        : `somebody to say what becomes of ${held.rows} rows, since the destination changed: ${changeOf(changed)}`
    const since = event.phases?.heldAt ?? endedAt ?? queuedAt
    return [{ kind: 'approval', since, until: null, detail }]
  }
  // The run before this one cannot end while requests of a previous owner may still arrive.
  if (status === 'queued') return waitsOfOpen(reports).filter(({ kind }) => kind === 'takeover')
  if (status !== 'running') return []
  return [...reports.values()].flatMap(({ run, ended, waits }) =>
    run === event.run && !ended ? (waits ?? []) : [],
  )
}

function waitsOfOpen(reports: ReadonlyMap<number, PartitionReport>): readonly Wait[] {
  return [...reports.values()].flatMap(({ ended, waits }) => (ended ? [] : (waits ?? [])))
}

function onceEach(waits: readonly Wait[]): Iterable<Wait> {
  const each = new Map<string, Wait>()
  for (const wait of waits) {
    const name = `${wait.kind} ${wait.detail}`
    const known = each.get(name)
    if (known === undefined) each.set(name, wait)
    else {
      const until = known.until === null || wait.until === null ? null : Math.max(known.until, wait.until)
      each.set(name, { ...known, since: Math.min(known.since, wait.since), until })
    }
  }
  return each.values()
}

function waitView({ kind, since, until, detail }: Wait): readonly WaitView[] {
  const from = isoTime(since)
  return from === null ? [] : [{ kind, since: from, until: isoTime(until), detail }]
}
