import { instantsOf } from '@sluice/runs/schedule/instants'
import { describe, expect, it } from 'vitest'
import { DueSyncs } from './fire-schedules.ts'
import type { InstantSchedule } from './sync-schedules.ts'

const HOUR_MS = 3_600_000
const NOON = Date.UTC(2026, 5, 15, 12)

function hourly(of: { readonly minute?: number; readonly since?: number } = {}): InstantSchedule {
  const schedule = { cron: `${of.minute ?? 0} * * * *` }
  const instants = instantsOf({ name: 'people', schedule })
  if (instants === null) throw new Error('a schedule is wanted')
  return { instants, by: JSON.stringify(schedule), since: of.since ?? 0 }
}

function firedAt(at: number, { by } = hourly()): { at: number; by: string; next: null } {
  return { at, by, next: null }
}

describe('a sync with a schedule', () => {
  it('is due at each instant, once', () => {
    const dues = new DueSyncs()
    const told: number[] = []
    for (let now = NOON - 1; now <= NOON + 3 * HOUR_MS; now += 1_000) {
      const due = dues.report('people', hourly({ since: NOON - 1 }), { fired: null, now })
      if (due !== null) told.push((due.at - NOON) / HOUR_MS)
    }
    expect(told).toEqual([0, 1, 2])
  })

  it('is due once for all that was missed', () => {
    const dues = new DueSyncs()
    const of = { fired: firedAt(NOON - 9 * HOUR_MS), now: NOON + 5 }
    expect(dues.report('people', hourly(), of)).toEqual({ ...firedAt(NOON), next: NOON + HOUR_MS })
    expect(dues.report('people', hourly(), of)).toBeNull()
    expect(dues.nextOf(['people'])).toBe(NOON + HOUR_MS)
  })

  it('is not due for an instant that has had its run', () => {
    const of = { fired: firedAt(NOON), now: NOON + 5 }
    expect(new DueSyncs().report('people', hourly(), of)).toBeNull()
  })

  it('is not due for instants from before its schedule was written, or written anew', () => {
    const since = NOON - 10_000
    expect(new DueSyncs().report('people', hourly({ since }), { fired: null, now: NOON - 5_000 })).toBeNull()
    const other = hourly({ minute: 30, since })
    const fired = firedAt(NOON - 5 * HOUR_MS)
    expect(new DueSyncs().report('people', other, { fired, now: NOON })).toBeNull()
    // Another schedule counts from now on, in a process that knew the one before.
    const dues = new DueSyncs()
    dues.report('people', hourly(), { fired, now: NOON - 5_000 })
    expect(dues.report('people', other, { fired, now: NOON - 4_000 })).toBeNull()
    expect(dues.nextOf(['people'])).toBe(NOON + HOUR_MS / 2)
  })

  it('is due again after its clock was wrong by days', () => {
    const dues = new DueSyncs()
    const fired = firedAt(NOON + 72 * HOUR_MS)
    expect(dues.report('people', hourly(), { fired, now: NOON + 1 })).toBeNull()
    expect(dues.report('people', hourly(), { fired, now: NOON + HOUR_MS })?.at).toBe(NOON + HOUR_MS)
  })
})
