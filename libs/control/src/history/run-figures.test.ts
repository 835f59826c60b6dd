import { expect, it } from 'vitest'
import { latencyBin } from '@sluice/history/latency-bins'
import { runFigures } from './run-figures.ts'

const OF = { run: 'R', sync: 's', limit: 10 }
const row = (second: number, ms: number, count = 1, outcome: 'delivered' | 'unsent' = 'delivered') => {
  return { second, outcome, bin: latencyBin(ms), count }
}

it('has no bucket for a run that sent nothing', () => {
  const latencyMs = { p50: null, p90: null, p99: null }
  expect(runFigures(OF, [])).toEqual({
    ...{ run: 'R', sync: 's', bucketSeconds: 1, attempts: 0, outcomes: {}, latencyMs, buckets: [] },
  })
})

it('counts attempts by second, and seconds without any', () => {
  const { bucketSeconds, buckets, outcomes } = runFigures(OF, [
    row(100, 10, 3),
    row(102, 10),
    row(102, 0, 2, 'unsent'),
  ])
  expect(bucketSeconds).toBe(1)
  expect(buckets.map(({ at, attempts }) => [at, attempts])).toEqual([
    ['1970-01-01T00:01:40.000Z', 3],
    ['1970-01-01T00:01:41.000Z', 0],
    ['1970-01-01T00:01:42.000Z', 3],
  ])
  expect(outcomes).toEqual({ delivered: 4, unsent: 2 })
})

it.each([9, 10, 59, 1_000, 90_000, 10_000_000])(
  'has at most as many buckets as asked for, over %i s',
  seconds => {
    const { buckets } = runFigures(OF, [row(1_000_003, 5), row(1_000_003 + seconds, 5)])
    expect(buckets.length).toBeLessThanOrEqual(OF.limit)
    expect(buckets.reduce((sum, { attempts }) => sum + attempts, 0)).toBe(2)
  },
)

it('tells percentiles to within five per cent, and nothing of what was never sent', () => {
  const rows = Array.from({ length: 1_000 }, (_, n) => row(1, n + 1))
  const { latencyMs } = runFigures(OF, [...rows, row(1, 0, 5_000, 'unsent')])
  for (const [name, wanted] of [
    ['p50', 500],
    ['p90', 900],
    ['p99', 990],
  ] as const) {
    expect(latencyMs[name]).toBeGreaterThan(wanted * 0.95)
    expect(latencyMs[name]).toBeLessThan(wanted * 1.05)
  }
})
