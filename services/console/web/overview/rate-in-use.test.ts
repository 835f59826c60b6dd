import type { FiguresBucket } from '@sluice/contracts/views/history-views'
import { describe, expect, it } from 'vitest'
import { isSendingTo, rateOf, rateOfAll, sendingTo } from './rate-in-use.ts'

const START = Date.UTC(2026, 10, 27)

/** Consecutive buckets of this many seconds. */
function figuresOf(bucketSeconds: number, attempts: readonly number[]) {
  const buckets = attempts.map((sent, index): FiguresBucket => ({
    at: new Date(START + index * bucketSeconds * 1_000).toISOString(),
    ...{ attempts: sent, outcomes: {}, latencyMs: { p50: null, p90: null, p99: null } },
  }))
  return { bucketSeconds, buckets }
}

const after = (seconds: number): number => START + seconds * 1_000

describe('the rate that a destination has in use', () => {
  it.each([
    { what: 'is that of the last second that is over', of: figuresOf(1, [80, 90, 12]), at: 2.4, rate: 90 },
    { what: 'is that of the last one, once it is over', of: figuresOf(1, [80, 90]), at: 2, rate: 90 },
    { what: 'is a mean where buckets are wider', of: figuresOf(10, [500, 250, 1]), at: 21, rate: 25 },
    { what: 'is not known in the first second', of: figuresOf(1, [80]), at: 0.9, rate: null },
    { what: 'is not known without attempts', of: figuresOf(1, []), at: 5, rate: null },
    { what: 'is not known if nothing came for some time', of: figuresOf(1, [80, 90]), at: 20, rate: null },
  ])('$what', ({ of, at, rate }) => {
    expect(rateOf(of, after(at))).toBe(rate)
  })

  it('is the sum over all runs whose rate is known', () => {
    expect(rateOfAll([40, null, 2.5])).toBe(42.5)
    expect(rateOfAll([null])).toBeNull()
    expect(rateOfAll([])).toBeNull()
  })

  it('comes from the runs that send there now, if they are not too many', () => {
    const run = (id: string, status: 'running' | 'queued' = 'running', destination = 'api') => ({
      ...{ destination, lastRun: { id, status } },
    })
    const never = { destination: 'api', lastRun: null }
    expect(sendingTo('api', [run('A'), run('B', 'queued'), run('C', 'running', 'other'), never])).toEqual([
      'A',
    ])
    expect(
      sendingTo(
        'api',
        ['A', 'B', 'C', 'D', 'E', 'F'].map(id => run(id)),
      ),
    ).toEqual([])
  })

  it('is shown as long as a running run sends there, however many do', () => {
    const run = (status: 'running' | 'queued') => ({ destination: 'api', lastRun: { id: 'A', status } })
    expect(
      isSendingTo(
        'api',
        Array.from({ length: 9 }, () => run('running')),
      ),
    ).toBe(true)
    expect(isSendingTo('other', [run('running')])).toBe(false)
    expect(isSendingTo('api', [run('queued'), { destination: 'api', lastRun: null }])).toBe(false)
  })
})
