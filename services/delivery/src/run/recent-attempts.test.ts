import type { PartitionReport } from '@sluice/contracts/records'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { sampleAttempt, sampleReport } from '@sluice/testkit/sample-records'
import type { UnownedAttempt } from '../ledger/request-history.ts'
import { RecentCounts } from './recent-attempts.ts'

beforeEach(() => void vi.useFakeTimers({ now: Date.parse('2026-11-30T12:00:00Z') }))
afterEach(() => void vi.useRealTimers())

const delivered = sampleAttempt({
  attempt: 1,
  run: 1,
  outcome: 'delivered',
  status: 200,
  answered: true,
  error: null,
})
const refused: UnownedAttempt = {
  ...delivered,
  outcome: 'rejected',
  status: 401,
  error: 'HTTP 401: Ann may not',
}
const inRun = (run: number, attempt: UnownedAttempt): UnownedAttempt => ({ ...attempt, run })

/** Reports as the partition does: the next owner goes on from the last one. */
class Reported {
  report: PartitionReport | undefined
  next(destination = 'api'): RecentCounts {
    const counts = new RecentCounts(() => this.report)
    counts.begin(destination)
    return counts
  }
  keep(counts: RecentCounts): void {
    this.report = sampleReport({ recent: counts.record })
  }
}

it('goes on after a restart, and begins anew for another destination', () => {
  const reported = new Reported()
  const first = reported.next()
  first.take(refused, 1)
  reported.keep(first)
  const second = reported.next()
  second.take(inRun(2, delivered), 5)
  expect(second.record?.spans).toMatchObject([
    { run: 1, delivered: 0, errors: { 'HTTP 401': 1 }, rowsRejected: 1 },
    { run: 2, delivered: 1, errors: {}, rowsDelivered: 5 },
  ])
  reported.keep(second)
  expect(reported.next('another').record).toMatchObject({ destination: 'another', at: null, spans: [] })
})

it('keeps an hour, in few spans, however many runs there are', () => {
  const counts = new Reported().next()
  for (let run = 1; run <= 720; run += 1) {
    counts.take(inRun(run, delivered), 1)
    vi.advanceTimersByTime(10_000)
  }
  const spans = counts.record?.spans ?? []
  expect(spans.length).toBeLessThan(20)
  const sum = spans.reduce((total, span) => total + span.delivered, 0)
  // Spans of five minutes end as a whole.
  expect(sum).toBeGreaterThan(325)
  expect(sum).toBeLessThanOrEqual(360)
})

it('counts few kinds of errors in a span, also of many runs', () => {
  const counts = new Reported().next()
  for (let run = 1; run <= 60; run += 1) {
    counts.take(inRun(run, { ...refused, status: 400 + run }), 1)
    vi.advanceTimersByTime(1_000)
  }
  for (let status = 500; status < 560; status += 1) counts.take(inRun(61, { ...refused, status }), 1)
  const spans = counts.record?.spans ?? []
  expect(spans.map(({ errors }) => Object.keys(errors).length)).toEqual([17, 17])
  expect(spans.map(({ errors }) => errors['other errors'])).toEqual([44, 44])
})

it('counts rows that a batch rejected, and nothing of what was not sent, or was only divided', () => {
  const counts = new Reported().next()
  const rows = [1, 2, 3].map(seq => ({ seq, outcome: 'rejected' as const, error: 'taken', captured: null }))
  counts.take({ ...delivered, rows }, 10)
  counts.take({ ...refused, attempt: 0 }, 10)
  counts.take({ ...refused, status: 422, parts: [{ rows: [0], tries: 1, waitMs: 0 }] }, 10)
  expect(counts.record?.spans).toMatchObject([
    { delivered: 1, errors: {}, rowsDelivered: 7, rowsRejected: 3 },
  ])
})

it('forgets why sending has stopped once the destination takes something', () => {
  const counts = new Reported().next()
  counts.stop('breaker', 'the breaker is open')
  counts.take({ ...refused, outcome: 'unknown', status: 503, answered: true }, 1)
  expect(counts.record?.stopped).toMatchObject({ by: 'breaker' })
  counts.take(delivered, 1)
  expect(counts.record?.stopped).toBeNull()
})
