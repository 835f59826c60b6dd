import { describe, expect, it } from 'vitest'
import { needsApproval } from './removal-guard.ts'

const nobody = { approved: null, usable: 50 }
const empty = { ...nobody, usable: 0 }

describe('the removal guard', () => {
  it('holds a run that would remove more than half of the rows and more than a hundred', () => {
    expect(needsApproval({}, { removed: 101, rows: 200, ...nobody })).toBe(true)
    expect(needsApproval({}, { removed: 100, rows: 100, ...nobody })).toBe(false)
    expect(needsApproval({}, { removed: 101, rows: 202, ...nobody })).toBe(false)
    expect(needsApproval({}, { removed: 1_000_000, rows: 1_000_000, ...nobody })).toBe(true)
  })

  it('holds a run whose model is empty, however few rows it had, unless the sync has a guard of its own', () => {
    expect(needsApproval({}, { removed: 1, rows: 1, ...empty })).toBe(true)
    expect(needsApproval({}, { removed: 40, rows: 40, ...empty })).toBe(true)
    expect(needsApproval({}, { removed: 40, rows: 40, ...empty, approved: 40 })).toBe(false)
    expect(needsApproval({}, { removed: 0, rows: 40, ...empty })).toBe(false)
    const removalGuard = { share: 0.5, rows: 100 }
    expect(needsApproval({ removalGuard }, { removed: 40, rows: 40, ...empty })).toBe(false)
    expect(needsApproval({ removalGuard: false }, { removed: 40, rows: 40, ...empty })).toBe(false)
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
    expect(needsApproval({}, { removed: 300, rows: 400, ...nobody, approved: 300 })).toBe(false)
    expect(needsApproval({}, { removed: 301, rows: 400, ...nobody, approved: 300 })).toBe(true)
    expect(needsApproval({}, { removed: 150, rows: 400, ...nobody, approved: 120 })).toBe(false)
  })
})
