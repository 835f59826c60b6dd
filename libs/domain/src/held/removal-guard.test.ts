import { describe, expect, it } from 'vitest'
import { needsApproval } from './removal-guard.ts'

const nobody = { approved: null }

describe('the removal guard', () => {
  it('holds a run that would remove more than half of the rows and more than a hundred', () => {
    expect(needsApproval({}, { removed: 101, rows: 200, ...nobody })).toBe(true)
    expect(needsApproval({}, { removed: 100, rows: 100, ...nobody })).toBe(false)
    expect(needsApproval({}, { removed: 101, rows: 202, ...nobody })).toBe(false)
    expect(needsApproval({}, { removed: 1_000_000, rows: 1_000_000, ...nobody })).toBe(true)
  })

  it('holds by the share and the number of its sync', () => {
    const removalGuard = { share: 0.1, rows: 0 }
    expect(needsApproval({ removalGuard }, { removed: 2, rows: 10, ...nobody })).toBe(true)
    expect(needsApproval({ removalGuard }, { removed: 1, rows: 10, ...nobody })).toBe(false)
    expect(needsApproval({ removalGuard: { share: 1, rows: 0 } }, { removed: 9, rows: 9, ...nobody })).toBe(
      false,
    )
  })

  it('holds nothing where it is turned off', () => {
    expect(needsApproval({ removalGuard: false }, { removed: 1000, rows: 1000, ...nobody })).toBe(false)
  })

  it('lets go what was approved, and no more', () => {
    expect(needsApproval({}, { removed: 300, rows: 400, approved: 300 })).toBe(false)
    expect(needsApproval({}, { removed: 301, rows: 400, approved: 300 })).toBe(true)
    expect(needsApproval({}, { removed: 150, rows: 400, approved: 120 })).toBe(false)
  })
})
