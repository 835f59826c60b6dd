import { describe, expect, it } from 'vitest'
import { EndsOfRuns, HISTORY_KEPT_MS } from './ends-of-runs.ts'

const HOUR = 3_600_000
const endsAt = (requests: number) => [{ partition: 0, requests, attempts: 0 }]

describe('the ends of runs', () => {
  it('tell of the last run that had ended by a time', () => {
    const ends = new EndsOfRuns()
    for (const hour of [1, 2, 3]) ends.add(`R${hour}`, endsAt(hour), hour * HOUR)
    expect(ends.endedBy(HOUR - 1)).toBeNull()
    expect(ends.endedBy(2 * HOUR)).toEqual(endsAt(2))
    expect(ends.endedBy(3 * HOUR - 1)).toEqual(endsAt(2))
    expect(ends.endedBy(9 * HOUR)).toEqual(endsAt(3))
  })

  it('are those of one run an hour, for as long as requests are kept, and of the last before that', () => {
    const ends = new EndsOfRuns()
    const minutes = 30 * 24 * 60
    for (let minute = 0; minute < minutes; minute += 1)
      ends.add(`R${minute}`, endsAt(minute), minute * 60_000)
    expect(ends.size).toBe(HISTORY_KEPT_MS / HOUR + 1)
    const now = minutes * 60_000
    expect(ends.endedBy(now - HISTORY_KEPT_MS)).toEqual(endsAt(minutes - 7 * 24 * 60 - 1))
    expect(ends.endedBy(now - 2 * HISTORY_KEPT_MS)).toBeNull()
    const told = Array.from({ length: minutes }, (_, minute) => minute).filter(minute =>
      ends.has(`R${minute}`),
    )
    expect(told).toEqual(Array.from({ length: 169 }, (_, hour) => minutes - 1 - 60 * (168 - hour)))
  })

  it('take no run for older than one before it, whatever a clock said', () => {
    const ends = new EndsOfRuns()
    ends.add('R1', endsAt(1), 100 * HOUR)
    ends.add('R2', endsAt(2), 2 * HOUR)
    expect(ends.endedBy(99 * HOUR)).toBeNull()
    expect(ends.endedBy(100 * HOUR)).toEqual(endsAt(2))
  })
})
