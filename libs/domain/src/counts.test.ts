import { describe, expect, it } from 'vitest'
import { addCounts, countRows, countsOf, finishedRows, undeliveredRows } from './counts.ts'
import { endStatus } from './run-status.ts'

describe('counts', () => {
  it('add up per op and field', () => {
    const sum = addCounts(
      addCounts(countRows('added', 'delivered', 3), countRows('added', 'rejected', 1)),
      countRows('removed', 'unknown', 2),
    )
    expect(countsOf(sum, 'added')).toMatchObject({ delivered: 3, rejected: 1 })
    expect(countsOf(sum, 'removed')).toMatchObject({ unknown: 2 })
    expect(sum.changed).toBeUndefined()
    expect(finishedRows(sum)).toBe(6)
    expect(undeliveredRows(sum)).toBe(3)
  })

  it('take exists as rejected, and missing as delivered for a removal only', () => {
    expect(countsOf(countRows('added', 'exists', 1), 'added').rejected).toBe(1)
    expect(countsOf(countRows('changed', 'missing', 1), 'changed').rejected).toBe(1)
    expect(countsOf(countRows('removed', 'missing', 1), 'removed').delivered).toBe(1)
  })
})

describe('the end of a run', () => {
  const clean = { counts: countRows('added', 'delivered', 3), rowsInvalid: 0, error: null, cancelled: false }
  it('is success only if every row is valid and arrived', () => {
    expect(endStatus(clean)).toBe('success')
    expect(endStatus({ ...clean, rowsInvalid: 1 })).toBe('warning')
    expect(endStatus({ ...clean, counts: countRows('added', 'unsent', 1) })).toBe('warning')
  })
  it('is failed with an error whatever else happened, and cancelled when asked for', () => {
    expect(endStatus({ ...clean, cancelled: true, error: 'interrupted' })).toBe('failed')
    expect(endStatus({ ...clean, cancelled: true })).toBe('cancelled')
  })
})
