import { describe, expect, it } from 'vitest'
import { instantsOf, type Instants } from './instants.ts'

const NOON = Date.UTC(2026, 5, 15, 12)
const MINUTE_MS = 60_000

function found(schedule: Parameters<typeof instantsOf>[0]['schedule'], name = 'people'): Instants {
  const instants = instantsOf({ name, schedule })
  if (instants === null) throw new Error('a schedule is wanted')
  return instants
}

describe('the instants of a sync', () => {
  it('are none where it runs only when somebody asks', () => {
    expect(instantsOf({ name: 'people', schedule: 'manual' })).toBeNull()
  })

  it('are none for a schedule that cannot be read, such as one of a later version', () => {
    expect(instantsOf({ name: 'people', schedule: { cron: 'whenever' } })).toBeNull()
  })

  it('come at each interval, in every process the same, on whole seconds', () => {
    const every = found({ every: 15 * MINUTE_MS })
    const first = every.next(NOON) ?? 0
    expect(first - NOON).toBeLessThanOrEqual(15 * MINUTE_MS)
    expect(first % 1000).toBe(0)
    expect(every.next(first)).toBe(first + 15 * MINUTE_MS)
    expect(every.next(first - 1)).toBe(first)
    expect(found({ every: 15 * MINUTE_MS }).next(NOON)).toBe(first)
  })

  it('are spread over the interval by the names of syncs', () => {
    const firsts = Array.from({ length: 50 }, (_, index) =>
      found({ every: 60 * MINUTE_MS }, `sync-${index}`).next(NOON),
    )
    expect(new Set(firsts).size).toBeGreaterThan(45)
  })

  it.each([{ every: 7_000 }, { every: 3_600_000 }, { cron: '*/5 * * * *' }, { cron: '30 2 * * *' }])(
    'have a latest one before each moment: %j',
    schedule => {
      const { next, latest } = found(schedule)
      const first = next(NOON) ?? 0
      const second = next(first) ?? 0
      expect(latest(NOON, first - 1)).toBeNull()
      expect(latest(NOON, first)).toBe(first)
      expect(latest(NOON, second - 1)).toBe(first)
      expect(latest(first, second - 1)).toBeNull()
      expect(latest(0, second + 1)).toBe(second)
    },
  )

  it('have a latest one years ago, too', () => {
    const { latest } = found({ cron: '0 0 29 2 *' })
    expect(latest(0, NOON)).toBe(Date.UTC(2024, 1, 29))
    expect(latest(Date.UTC(2024, 1, 29), NOON)).toBeNull()
  })
})
