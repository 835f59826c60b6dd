/** Adds up the answers of a destination that the runs of all syncs have reported lately. */
import type { AttemptsSpan, Wait } from '@sluice/contracts/records'
import type { DestinationHour } from '@sluice/contracts/views/destination-health'
import {
  type AttemptSums,
  type DestinationFacts,
  isOfRejection,
  JUDGED_MS,
} from '@sluice/domain/destination-health'
import { totalOf } from '@sluice/domain/counts'
import { percentiles } from '@sluice/history/latency-bins'
import { runAtWork, type SyncRuns } from '@sluice/runs/runs-view'
import { rejectedAgain } from '../history/rejected-again.ts'
import { failuresOf } from '../history/run-progress.ts'
import { countsByNow } from '../history/run-views.ts'

const HOUR_MS = 3_600_000
const SHARES = [0.5, 0.9, 0.99] as const

export interface Answers extends Omit<DestinationFacts, 'unusable' | 'credentials'> {
  readonly hour: DestinationHour
}

/** `syncs` has the names of the syncs that send there now. It reads nothing: `runs` has the reports. */
export function answersOf(
  destination: string,
  { syncs, runs }: { readonly syncs: ReadonlySet<string>; readonly runs: Iterable<SyncRuns> },
): Answers {
  const waits: Wait[] = []
  const judged: { readonly known: SyncRuns; readonly spans: readonly AttemptsSpan[] }[] = []
  const all: AttemptsSpan[] = []
  let lastAttemptAt: number | null = null
  let stopped: DestinationFacts['stopped'] = null
  let wasUsed = false
  for (const known of runs) {
    const ofSync = [...known.reports.values()].flatMap(({ recent }) =>
      recent?.destination === destination ? [recent] : [],
    )
    for (const { at, stopped: by } of ofSync) {
      if (at !== null) lastAttemptAt = Math.max(at, lastAttemptAt ?? 0)
      if (by !== null && by.at > (stopped?.at ?? 0)) stopped = by
    }
    const spans = ofSync.flatMap(({ spans }) => spans)
    // Only the newest run of each sync counts: somebody may have mended what made the earlier run fail.
    const run = spans.reduce((newest, span) => Math.max(newest, span.run), 0)
    judged.push({ known, spans: spans.filter(span => span.run === run) })
    all.push(...spans)
    if (!syncs.has(known.sync)) continue
    wasUsed ||= hasSent(known)
    const open = runAtWork(known)
    for (const report of known.reports.values())
      if (report.run === open?.run && !report.ended) waits.push(...(report.waits ?? []))
  }
  const isAfter = stopped !== null && stopped.at >= (lastAttemptAt ?? 0)
  const last = lastAttemptAt ?? 0
  return {
    ...{ waits, lastAttemptAt, wasUsed, stopped: isAfter ? stopped : null },
    sums: judged
      .map(({ known, spans }) =>
        sumsOfRun(
          known,
          spans.filter(({ from }) => last - from <= JUDGED_MS),
        ),
      )
      .reduce(bothSums, sumsOf([])),
    hour: hourOf(all.filter(({ from }) => last - from < HOUR_MS)),
  }
}

function hasSent({ events }: SyncRuns): boolean {
  return [...events.values()].some(({ counts }) => totalOf(counts, 'requests') > 0)
}

/**
 * Returns the sums of the newest run of a sync. If the run failed only with rows that an earlier run had
 * rejected, it is judged by all rows, of which these are a part.
 */
function sumsOfRun({ events, reports }: SyncRuns, spans: readonly AttemptsSpan[]): AttemptSums {
  const sums = sumsOf(spans)
  const event = [...events.values()].find(({ run }) => run !== null && run === spans[0]?.run)
  if (event === undefined || ![...sums.errors.keys()].every(isOfRejection)) return sums
  const counts = countsByNow(event, reports)
  const failures = failuresOf(event, reports)
  const again = rejectedAgain(event, { counts, failures, events: events.values() })
  if (again === null) return sums
  const repeated = [...sums.errors.values()].reduce((sum, count) => sum + count, 0)
  return { ...sums, repeated, rowsRejected: again.rejected, rowsDelivered: again.of - again.rejected }
}

function bothSums(one: AttemptSums, other: AttemptSums): AttemptSums {
  return {
    delivered: one.delivered + other.delivered,
    throttled: one.throttled + other.throttled,
    rowsDelivered: one.rowsDelivered + other.rowsDelivered,
    rowsRejected: one.rowsRejected + other.rowsRejected,
    repeated: (one.repeated ?? 0) + (other.repeated ?? 0),
    errors: summed([one, other].map(({ errors }) => Object.fromEntries(errors))),
  }
}

function sumsOf(spans: readonly AttemptsSpan[]): AttemptSums {
  const sum = (count: (span: AttemptsSpan) => number): number =>
    spans.reduce((total, span) => total + count(span), 0)
  return {
    delivered: sum(({ delivered }) => delivered),
    throttled: sum(({ throttled }) => throttled),
    rowsDelivered: sum(({ rowsDelivered }) => rowsDelivered),
    rowsRejected: sum(({ rowsRejected }) => rowsRejected),
    errors: summed(spans.map(({ errors }) => errors)),
  }
}

function hourOf(spans: readonly AttemptsSpan[]): DestinationHour {
  const { delivered, throttled, errors } = sumsOf(spans)
  const kinds = [...errors].map(([kind, count]) => ({ kind, count })).sort((a, b) => b.count - a.count)
  const failed = kinds.reduce((sum, { count }) => sum + count, 0)
  const bins = [...summed(spans.map(({ latency }) => latency))].map(
    ([bin, count]) => [Number(bin), count] as const,
  )
  const [p50 = null, p90 = null, p99 = null] = percentiles(new Map(bins), SHARES)
  const attempts = delivered + throttled + failed
  return { attempts, delivered, throttled, errors: kinds, latencyMs: { p50, p90, p99 } }
}

function summed(maps: readonly { readonly [key: string]: number }[]): Map<string, number> {
  const sums = new Map<string, number>()
  for (const counts of maps)
    for (const [key, count] of Object.entries(counts)) sums.set(key, (sums.get(key) ?? 0) + count)
  return sums
}
