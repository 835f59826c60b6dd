import { describe, expect, it } from 'vitest'
import { RemovalWindow } from './removal-window.ts'

const GUARD = { removalGuard: { share: 0.5, rows: 10 } }
const MINUTE = 60_000

describe('removals of a stream', () => {
  it('count together for ten minutes', () => {
    const window = new RemovalWindow([], { believed: 100, approved: 0 })
    expect(window.passes(GUARD, { removed: 40, believed: 100, usable: 1, at: 0 })).toBe(true)
    expect(window.passes(GUARD, { removed: 20, believed: 60, usable: 1, at: 9 * MINUTE })).toBe(false)
    expect(window.passes(GUARD, { removed: 20, believed: 60, usable: 1, at: 10 * MINUTE })).toBe(true)
  })

  it('are a share of the rows of before, though those in flight are still believed', () => {
    const window = new RemovalWindow([], { believed: 100, approved: 0 })
    const slices = Array.from({ length: 10 }, (_, index) =>
      window.passes(GUARD, { removed: 10, believed: 100, usable: 1, at: index * 2_000 }),
    )
    expect(slices.filter(passed => passed).length).toBe(5)
  })

  it('of earlier runs count, too, as far as nobody has approved them', () => {
    const known = [{ at: 0, removed: 40, absent: 30 }]
    const next = { removed: 20, believed: 70, usable: 1, at: MINUTE }
    expect(new RemovalWindow(known, { believed: 70, approved: 0 }).passes(GUARD, next)).toBe(false)
    expect(new RemovalWindow(known, { believed: 70, approved: 40 }).passes(GUARD, next)).toBe(true)
  })
})
