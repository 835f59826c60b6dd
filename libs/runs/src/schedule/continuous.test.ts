import { describe, expect, it } from 'vitest'
import type { RunStatus } from '@sluice/contracts/records'
import { nextOfStream } from './continuous.ts'

const run = (status: RunStatus, endedAt: number | null) => ({ status, cause: 'schedule', endedAt }) as const
const failed = (...ends: readonly number[]) => ends.map(end => run('failed', end))

describe('the next run of a stream', () => {
  it('begins at once, before the first run, and when one ends', () => {
    expect(nextOfStream([], 9_000)).toBe(0)
    expect(nextOfStream([run('success', 5_000)], 9_000)).toBe(5_000)
    expect(nextOfStream([run('warning', 5_000), run('cancelled', 7_000)], 9_000)).toBe(7_000)
  })

  it('waits for the run that is queued, at work, or awaits approval', () => {
    for (const status of ['queued', 'running', 'held'] as const)
      expect(nextOfStream([run('success', 5_000), run(status, null)], 9_000)).toBeNull()
  })

  it('begins after a second if one failed, and after up to a minute if they go on failing', () => {
    expect(nextOfStream(failed(5_000), 9_000)).toBe(6_000)
    expect(nextOfStream([...failed(5_000, 6_000, 8_000), run('success', 4_000)], 9_000)).toBe(12_000)
    const many = Array.from({ length: 50 }, (_, at) => at)
    expect(nextOfStream(failed(...many), 9_000)).toBe(60_049)
    expect(nextOfStream([...failed(5_000), run('success', 6_000)], 9_000)).toBe(6_000)
  })

  it('waits for no end that lies in the future', () => {
    expect(nextOfStream(failed(99_000), 9_000)).toBe(10_000)
  })
})
