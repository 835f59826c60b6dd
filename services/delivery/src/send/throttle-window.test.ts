import { afterEach, expect, it, vi } from 'vitest'
import type { Outcome } from '@sluice/contracts/state'
import { sampleAttempt } from '@sluice/testkit/sample-records'
import { ThrottleWindow } from './throttles.ts'

const HOUR_MS = 3_600_000
const row = (seq: number, outcome: Outcome) => ({ seq, outcome, error: null, captured: null })
const throttled = sampleAttempt({ outcome: 'throttled', status: 429, final: false })

afterEach(() => vi.restoreAllMocks())

it('an hour without one success is over, and one in which some rows arrived is not', () => {
  let nowMs = 1_000
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
  const window = new ThrottleWindow(10)
  expect(window.throttled(throttled, nowMs, 1)).toBe(false)
  nowMs += HOUR_MS - 1
  const some = { ...throttled, rows: [row(0, 'delivered'), row(1, 'rejected')] }
  expect(window.throttled(some, nowMs, 1)).toBe(false)
  nowMs += HOUR_MS - 1
  expect(window.throttled(throttled, nowMs, 1)).toBe(false)
  nowMs += 1
  expect(window.throttled({ ...throttled, rows: [row(1, 'rejected')] }, nowMs, 1)).toBe(true)
})
