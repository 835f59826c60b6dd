/** Runs as people see them, made from the events and reports in the topic `runs`. */
import type { RunView } from '@sluice/contracts/api'
import { isErrorCode } from '@sluice/contracts/errors'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { OPS, type CountsByOp, type Op } from '@sluice/contracts/state'
import { addCounts, countsOf } from '@sluice/domain/counts'
import { isEnded } from '@sluice/domain/run-status'
import { triggeredOps } from '@sluice/domain/trigger'

/**
 * `definition` is the one that the run is pinned to, or null before that. `reports` are the latest reports of
 * the sync's partitions, which give the figures of a run under way.
 */
export function runView(
  event: RunEvent,
  definition: Definition | null,
  reports: ReadonlyMap<number, PartitionReport>,
): RunView {
  const counts = isEnded(event.status) ? event.counts : withProgress(event, reports)
  const ops =
    definition === null ? OPS.filter(op => counts[op] !== undefined) : [...triggeredOps(definition.sync)]
  // Events of an earlier version have no such field.
  const restoring = event.restoring ?? null
  const waiting = event.status === 'running' ? waitsOf(event, reports) : []
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
    triggers: Object.fromEntries(inReadingOrder(ops).map(op => [op, countsOf(counts, op)])),
    ...(event.invalidSamples.length === 0 ? {} : { invalidRows: [...event.invalidSamples] }),
    ...(event.status === 'held' && event.held !== null
      ? { held: { ...event.held, samples: [...event.held.samples] } }
      : {}),
    ...(event.status === 'running' && restoring !== null ? { restoring: { ...restoring } } : {}),
    ...(waiting.length === 0 ? {} : { waiting }),
    ...(event.notices.length === 0 ? {} : { notices: [...event.notices] }),
  }
}

function withProgress(event: RunEvent, reports: ReadonlyMap<number, PartitionReport>): CountsByOp {
  let counts = event.counts
  for (const report of reports.values())
    if (report.run === event.run) counts = addCounts(counts, report.counts)
  return counts
}

/** The reasons for which the run's partitions wait, each one once. */
function waitsOf(event: RunEvent, reports: ReadonlyMap<number, PartitionReport>): string[] {
  const waits = new Set<string>()
  for (const { run, ended, waiting } of reports.values())
    if (run === event.run && !ended && typeof waiting === 'string') waits.add(waiting)
  return [...waits]
}

/** People read additions first. */
function inReadingOrder(ops: readonly Op[]): readonly Op[] {
  return [...OPS].reverse().filter(op => ops.includes(op))
}

/** Null, too, for an instant that no date has, as a stranger may write it. */
function isoTime(ms: number | null): string | null {
  return ms === null || Number.isNaN(new Date(ms).getTime()) ? null : new Date(ms).toISOString()
}
