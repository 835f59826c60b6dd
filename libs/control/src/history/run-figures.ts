/** Counts the attempts of a run over time, for charts. */
import type { AttemptOutcome } from '@sluice/contracts/api'
import type { FiguresBucket, RunFigures } from '@sluice/contracts/views/history-views'
import { percentiles } from '@sluice/history/latency-bins'
import type { AttemptCount } from '@sluice/history/port'

/** Widths that people read at a glance, in seconds. */
const WIDTHS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400]
const SECOND_MS = 1_000
const SHARES = [0.5, 0.9, 0.99] as const

/** Adds up the counts in at most `limit` buckets of one width. Buckets without attempts are included. */
export function runFigures(
  { run, sync, limit }: { readonly run: string; readonly sync: string; readonly limit: number },
  rows: readonly AttemptCount[],
): RunFigures {
  const seconds = rows.map(({ second }) => second)
  const first = seconds.reduce((least, second) => Math.min(least, second), Infinity)
  const last = seconds.reduce((greatest, second) => Math.max(greatest, second), -Infinity)
  const total = summed(rows)
  if (rows.length === 0) return { run, sync, bucketSeconds: 1, ...total, buckets: [] }
  // Buckets begin at multiples of their width, so a span of time may need one bucket more than its length
  // suggests.
  const width =
    WIDTHS.find(one => (last - first) / one + 2 <= limit) ?? Math.ceil((last - first) / (limit - 1))
  const start = Math.floor(first / width) * width
  const byBucket = Map.groupBy(rows, ({ second }) => Math.floor((second - start) / width))
  const buckets: FiguresBucket[] = []
  for (let n = 0; start + n * width <= last; n += 1)
    buckets.push({
      at: new Date((start + n * width) * SECOND_MS).toISOString(),
      ...summed(byBucket.get(n) ?? []),
    })
  return { run, sync, bucketSeconds: width, ...total, buckets }
}

function summed(rows: readonly AttemptCount[]): Omit<FiguresBucket, 'at'> {
  const outcomes: Partial<Record<AttemptOutcome, number>> = {}
  const bins = new Map<number, number>()
  let attempts = 0
  for (const { outcome, bin, count } of rows) {
    attempts += count
    outcomes[outcome] = (outcomes[outcome] ?? 0) + count
    // An attempt that could not connect has no latency.
    if (outcome !== 'unsent') bins.set(bin, (bins.get(bin) ?? 0) + count)
  }
  const [p50 = null, p90 = null, p99 = null] = percentiles(bins, SHARES)
  return { attempts, outcomes, latencyMs: { p50, p90, p99 } }
}
