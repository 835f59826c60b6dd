/** Shows the progress of a run, its speed, and the reasons for which rows fail, as delivery reports them. */
import type { RunView } from '@sluice/contracts/api'
import type { FailedRows, PartitionReport, RunEvent } from '@sluice/contracts/records'
import type { CountsByOp } from '@sluice/contracts/state'
import { failuresOfRun } from '@sluice/domain/answers/failures-of-run'
import { isoTime } from '@sluice/domain/iso-time'
import { detectedRows, finishedRows, totalOf, undeliveredRows } from '@sluice/domain/counts'
import { rejectedAgain } from './rejected-again.ts'

type Reports = ReadonlyMap<number, PartitionReport>
type ErrorGroup = NonNullable<RunView['errors']>[number]
export type ShownProgress = Pick<RunView, 'errors' | 'firstError' | 'failing' | 'progress' | 'throughput'>

/**
 * Delivery reports at least every 30 s while a run sends. An older speed was reported by a process that is
 * gone.
 */
const MAX_AGE_MS = 60_000
/** A run shows at most this many reasons. */
const MAX_REASONS = 20

/** `counts` are the present counts of the run; `now` is in ms since 1970. */
export function runProgress(
  event: RunEvent,
  {
    counts,
    reports,
    fails,
    now,
  }: {
    readonly counts: CountsByOp
    readonly reports: Reports
    readonly fails: boolean
    readonly now: number
  },
): ShownProgress {
  const own = reportsOf(event, reports)
  const groups = failuresOf(event, reports).map(groupOf)
  const throughput = event.status === 'running' ? throughputOf(own, now) : null
  // Nobody knows how many changes a stream will find.
  const hasEnd = (event.stream ?? null) === null
  const progress = event.status === 'running' && hasEnd ? progressOf(counts, throughput) : null
  const [firstError] = groups.toSorted((one, other) => (one.since ?? '').localeCompare(other.since ?? ''))
  const errors = groups.sort((one, other) => other.count - one.count).slice(0, MAX_REASONS)
  return {
    ...(errors.length === 0 ? {} : { errors }),
    ...(firstError === undefined ? {} : { firstError }),
    ...(fails ? { failing: true } : {}),
    ...(progress === null ? {} : { progress }),
    ...(throughput === null ? {} : { throughput }),
  }
}

/** True if rows were sent, or should have been, and none has arrived. */
export function isFailing({ status }: Pick<RunEvent, 'status'>, counts: CountsByOp): boolean {
  if (status === 'cancelled' || status === 'held' || status === 'queued') return false
  const failed = undeliveredRows(counts)
  return failed > 0 && finishedRows(counts) === failed
}

/** An answer with one of these rejects no row, but the request as such. */
const OF_REQUESTS: ReadonlySet<number | null> = new Set([null, 401, 403, 407])

/**
 * True if the run has only sent rows again that an earlier run had rejected while others arrived. Such a run
 * delivers nothing, and yet the destination takes rows. `events` are the runs of the sync, the oldest first.
 */
export function isOfRejectedRows(
  event: RunEvent,
  {
    counts,
    reports,
    events,
  }: { readonly counts: CountsByOp; readonly reports: Reports; readonly events: Iterable<RunEvent> },
): boolean {
  const failures = failuresOf(event, reports)
  if (totalOf(counts, 'rejected') === 0) return false
  if (rejectedAgain(event, { counts, failures, events }) === null) return false
  return !failures.some(({ status }) => OF_REQUESTS.has(status))
}

/** The reasons for which rows of the run failed. A run that has ended keeps them, others have reports. */
export function failuresOf(
  event: Pick<RunEvent, 'run' | 'failures'>,
  reports: Reports,
): readonly FailedRows[] {
  return event.failures ?? failuresOfRun(reportsOf(event, reports))
}

function reportsOf({ run }: Pick<RunEvent, 'run'>, reports: Reports): readonly PartitionReport[] {
  return run === null ? [] : [...reports.values()].filter(report => report.run === run)
}

function groupOf({ outcome, status, error, key, since, rows, retried }: FailedRows): ErrorGroup {
  const first = isoTime(since)
  return {
    ...{ outcome, status, error, key, count: rows + retried },
    ...(retried === 0 ? {} : { retried }),
    ...(first === null ? {} : { since: first }),
  }
}

function throughputOf(own: readonly PartitionReport[], now: number): RunView['throughput'] | null {
  const speed = { deliveredPerSecond: 0, failedPerSecond: 0 }
  let isKnown = false
  for (const { lately = null, ended } of own) {
    if (lately === null || ended || lately.forMs <= 0 || now - lately.at > MAX_AGE_MS) continue
    isKnown = true
    speed.deliveredPerSecond += (lately.delivered * 1_000) / lately.forMs
    speed.failedPerSecond += (lately.failed * 1_000) / lately.forMs
  }
  const rounded = (value: number): number => Math.round(value * 10) / 10
  return isKnown
    ? {
        deliveredPerSecond: rounded(speed.deliveredPerSecond),
        failedPerSecond: rounded(speed.failedPerSecond),
      }
    : null
}

function progressOf(
  counts: CountsByOp,
  throughput: RunView['throughput'] | null,
): RunView['progress'] | null {
  const of = detectedRows(counts)
  if (of === 0) return null
  const finished = Math.min(of, finishedRows(counts))
  const speed = (throughput?.deliveredPerSecond ?? 0) + (throughput?.failedPerSecond ?? 0)
  return {
    ...{ finished, of },
    // A run that goes on never shows 100 %.
    percent: finished === of ? 100 : Math.min(99.9, Math.floor((finished * 1_000) / of) / 10),
    remainingSeconds: speed === 0 ? null : Math.ceil((of - finished) / speed),
  }
}
