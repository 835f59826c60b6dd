import { describe, expect, it } from 'vitest'
import { leftByCancel } from './totals.ts'

describe('the question before a run is cancelled', () => {
  const left = (detected: number, delivered: number) => {
    const none = { rejected: 0, unknown: 0, unsent: 0, requests: 0, attempts: 0 }
    return leftByCancel({ triggers: { added: { detected, delivered, ...none } } })
  }

  it('says how many rows are delivered, and how many the next run has to send', () => {
    expect(left(5_000, 1_204)).toBe('1,204 of 5,000 rows are delivered. 3,796 stay for the next run.')
    expect(left(2, 1)).toBe('1 of 2 rows is delivered. 1 stays for the next run.')
    expect(left(1, 1)).toBe('1 of 1 row is delivered.')
    expect(left(0, 0)).toBe('Nothing was sent yet.')
  })
})
