import { expect, it } from 'vitest'
import { FinishedLately } from './finished-lately.ts'

const counts = (delivered: number, rejected = 0, unsent = 0) => ({
  added: { detected: 0, delivered, rejected, unknown: 0, unsent, requests: 0, attempts: 0 },
})

it('says how many rows the last ten seconds finished, delivered and failed apart', () => {
  let now = 0
  const lately = new FinishedLately(() => now)
  expect(lately.rows).toBeNull()
  lately.took()
  for (now = 100; now <= 20_000; now += 100) lately.finished(counts(8, 1, 5_000))
  // Rows that are finished within a quarter of a second count together.
  expect(lately.rows?.forMs).toBe(10_000)
  expect(lately.rows?.delivered).toBeGreaterThan(775)
  expect(lately.rows?.delivered).toBeLessThanOrEqual(800)
  expect(lately.rows?.failed).toBe((lately.rows?.delivered ?? 0) / 8)
  now += 9_000
  expect(lately.rows?.delivered).toBeLessThan(100)
  now += 1_000
  expect(lately.rows).toEqual({ forMs: 10_000, delivered: 0, failed: 0 })
})

it('takes the time since the first request until ten seconds are over', () => {
  let now = 0
  const lately = new FinishedLately(() => now)
  lately.took()
  now = 20
  lately.finished(counts(60))
  expect(lately.rows).toEqual({ forMs: 1_000, delivered: 60, failed: 0 })
  now = 4_000
  expect(lately.rows).toEqual({ forMs: 4_000, delivered: 60, failed: 0 })
  lately.clear()
  expect(lately.rows).toBeNull()
})

it('counts rows as failed that no connection could take, and not those that nobody tried to send', () => {
  const lately = new FinishedLately(() => 0)
  lately.took()
  lately.finished(counts(0, 0, 5))
  lately.finished({ added: { ...counts(0, 0, 3).added, attempts: 1 } })
  expect(lately.rows).toMatchObject({ delivered: 0, failed: 3 })
})
