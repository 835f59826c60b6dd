import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { doublingPause, retry } from './retry.ts'

const PAUSES = { firstMs: 50, maxMs: 1_000 }
const passing = new Error('passing')

function harness(succeedsAt: number) {
  const times: number[] = []
  const work = () => {
    times.push(performance.now())
    return times.length < succeedsAt ? Promise.reject(passing) : Promise.resolve('done')
  }
  return { times, work }
}

describe('retry', () => {
  beforeEach(() => void vi.useFakeTimers({ now: 0 }))
  afterEach(() => void vi.useRealTimers())
  const { signal } = new AbortController()
  const options = { pauses: PAUSES, withinMs: 30_000, mayPass: (error: unknown) => error === passing, signal }

  it('doubles its pauses up to the longest', async () => {
    expect([1, 2, 3, 10, 5_000].map(failures => doublingPause(failures, PAUSES))).toEqual([
      50, 100, 200, 1_000, 1_000,
    ])
    const { times, work } = harness(8)
    const done = retry(work, options)
    await vi.advanceTimersByTimeAsync(30_000)
    expect(await done).toBe('done')
    expect(times.map((time, i) => time - (times[i - 1] ?? time))).toEqual([
      0, 50, 100, 200, 400, 800, 1_000, 1_000,
    ])
  })

  it('gives up at once where a failure does not pass, and in time where it goes on', async () => {
    const wrong = new Error('wrong')
    await expect(retry(() => Promise.reject(wrong), options)).rejects.toBe(wrong)
    const { times, work } = harness(Number.POSITIVE_INFINITY)
    const given = expect(retry(work, { ...options, withinMs: 400 })).rejects.toBe(passing)
    await vi.advanceTimersByTimeAsync(1_000)
    await given
    expect(times).toHaveLength(4)
  })

  it('ends a pause with the reason of an abort', async () => {
    const abort = new AbortController()
    const { times, work } = harness(Number.POSITIVE_INFINITY)
    const ended = expect(retry(work, { ...options, signal: abort.signal })).rejects.toThrow('enough')
    await vi.advanceTimersByTimeAsync(60)
    abort.abort(new Error('enough'))
    await ended
    expect(times).toHaveLength(2)
  })
})
