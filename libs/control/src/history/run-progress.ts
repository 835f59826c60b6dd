/** Shows the progress of a run, its speed, and the reasons for which rows fail, as delivery reports them. */
import type { RunView } from '@sluice/contracts/api'
import type { FailedRows, PartitionReport, RunEvent } from '@sluice/contracts/records'
import type { CountsByOp } from '@sluice/contracts/state'
import { reasonId } from '@sluice/domain/answers/error-groups'
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
  const own = [...reports.values()].filter(({ run }) => event.run !== null && run === event.run)
  const groups = groupsOf(own)
  const throughput = event.status === 'running' ? throughputOf(own, now) : null
  const progress = event.status === 'running' ? progressOf(counts, throughput) : null
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
  if (totalOf(counts, 'rejected') === 0 || rejectedAgain(event, counts, events) === null) return false
  const own = [...reports.values()].filter(({ run }) => run === event.run)
  return !groupsOf(own).some(({ status }) => OF_REQUESTS.has(status))
}

/** The reasons of all partitions. Messages that differ only in numbers are one reason. */
function groupsOf(own: readonly PartitionReport[]): ErrorGroup[] {
  const groups = new Map<string, ErrorGroup>()
  for (const { failures, ended } of own)
    for (const failure of failures ?? []) {
      const group = groupOf(failure, ended)
      const id = reasonId(failure)
      const known = groups.get(id)
      if (group.count > 0) groups.set(id, known === undefined ? group : both(known, group))
    }
  return [...groups.values()]
}

function groupOf(
  { outcome, status, error, key, since, rows, retried }: FailedRows,
  hasEnded: boolean,
): ErrorGroup {
  const again = hasEnded ? 0 : retried
  const first = isoTime(since)
  return {
    ...{ outcome, status, error, key, count: rows + again },
    ...(again === 0 ? {} : { retried: again }),
    ...(first === null ? {} : { since: first }),
  }
}

function both(one: ErrorGroup, other: ErrorGroup): ErrorGroup {
  const first = (other.since ?? '') < (one.since ?? '') ? other : one
  const retried = (one.retried ?? 0) + (other.retried ?? 0)
  return { ...first, count: one.count + other.count, ...(retried === 0 ? {} : { retried }) }
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
