import { describe, expect, it } from 'vitest'
import { confirmsRemoval, verdictAs, verdictOfAnswer, verdictOfFailure, withUncertainty } from './outcome.ts'

const NOW = Date.UTC(2026, 0, 1)

describe('what an answer means', () => {
  it.each([
    [200, null, 'delivered'],
    [204, null, 'delivered'],
    [299, null, 'delivered'],
    [301, null, 'rejected'],
    [304, null, 'rejected'],
    [400, null, 'rejected'],
    [404, null, 'rejected'],
    [408, null, 'unknown'],
    [409, null, 'rejected'],
    [429, null, 'throttled'],
    [429, '7', 'throttled'],
    [500, null, 'unknown'],
    [500, '7', 'unknown'],
    [503, null, 'unknown'],
    [503, '7', 'throttled'],
    [599, null, 'unknown'],
  ] as const)('%i with Retry-After %s is %s', (status, retryAfter, outcome) => {
    const verdict = verdictOfAnswer({ status, retryAfter, date: null }, NOW)
    expect(verdict.outcome).toBe(outcome)
    expect(verdict.answered).toBe(true)
  })

  it('takes the waiting time of a throttled answer from Retry-After', () => {
    expect(verdictOfAnswer({ status: 429, retryAfter: '7', date: null }, NOW).retryAfterMs).toBe(7000)
    expect(verdictOfAnswer({ status: 429, retryAfter: null, date: null }, NOW).retryAfterMs).toBeNull()
  })
})

describe('an answer for which a rule names the outcome', () => {
  it('is answered, and has a waiting time, also if only some rows have arrived', () => {
    const answer = { status: 400, retryAfter: '7', date: null }
    for (const outcome of ['delivered', 'throttled', 'rejected', 'unknown'] as const)
      expect(verdictAs(outcome, answer, NOW)).toEqual({ outcome, answered: true, retryAfterMs: 7000 })
  })
})

describe('what no answer means', () => {
  it('is unsent only if no byte can have arrived', () => {
    expect(verdictOfFailure('not-sent')).toEqual({ outcome: 'unsent', answered: false, retryAfterMs: null })
    expect(verdictOfFailure('invalid')).toEqual({ outcome: 'rejected', answered: false, retryAfterMs: null })
    expect(verdictOfFailure('timeout').outcome).toBe('unknown')
    expect(verdictOfFailure('broken').outcome).toBe('unknown')
  })
})

describe('an uncertain row', () => {
  it('keeps a later failure unknown, and leaves what is certain alone', () => {
    expect(withUncertainty('rejected', true, 'added')).toBe('unknown')
    expect(withUncertainty('unsent', true, 'added')).toBe('unknown')
    expect(withUncertainty('delivered', true, 'added')).toBe('delivered')
    expect(withUncertainty('rejected', false, 'added')).toBe('rejected')
  })

  it('ends with exists to an added row and missing to another one, and not the other way round', () => {
    expect(withUncertainty('exists', true, 'added')).toBe('exists')
    expect(withUncertainty('missing', true, 'changed')).toBe('missing')
    expect(withUncertainty('missing', true, 'removed')).toBe('missing')
    expect(withUncertainty('missing', true, 'added')).toBe('unknown')
    expect(withUncertainty('exists', true, 'changed')).toBe('unknown')
    expect(withUncertainty('exists', false, 'changed')).toBe('exists')
  })
})

describe('a removal', () => {
  it('is confirmed by 404 and 410 alone', () => {
    expect([404, 410, 400, 409, 500].filter(confirmsRemoval)).toEqual([404, 410])
  })
})
