import { expect, it } from 'vitest'
import { progressPauseMs } from './report-partition.ts'

it('progress is reported twice a second at first, and in a run of a day some thousand times, not 172,800', () => {
  const reports = (lastsMs: number): number => {
    let count = 0
    for (let at = 0; at < lastsMs; at += progressPauseMs(at)) count += 1
    return count
  }
  expect(reports(10_000)).toBe(20)
  expect(reports(60_000)).toBeLessThan(60)
  expect(reports(3_600_000)).toBeLessThan(300)
  expect(reports(86_400_000)).toBeLessThan(3_100)
})
