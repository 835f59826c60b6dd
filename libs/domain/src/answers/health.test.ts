import { expect, it } from 'vitest'
import { healthOf } from './health.ts'
import { verdictAs, verdictOfAnswer, verdictOfFailure } from './outcome.ts'

const answer = (status: number, retryAfter: string | null = null) => ({ status, retryAfter, date: null })

it.each([
  [200, 'served'],
  [400, 'refused'],
  [404, 'refused'],
  [408, 'unclear'],
  [429, 'unclear'],
  [500, 'failed'],
  [503, 'failed'],
] as const)('an answer %d counts as %s', (status, health) => {
  expect(healthOf(status, verdictOfAnswer(answer(status), 0))).toBe(health)
})

it('a 503 that asks for a pause is no failure of the destination', () => {
  expect(healthOf(503, verdictOfAnswer(answer(503, '3'), 0))).toBe('unclear')
})

it.each([
  ['timeout', 'failed'],
  ['broken', 'failed'],
  ['not-sent', 'failed'],
  ['invalid', 'unclear'],
] as const)('no answer, because of %s, counts as %s', (reason, health) => {
  expect(healthOf(null, verdictOfFailure(reason))).toBe(health)
})

it.each([
  [500, 'rejected', 'refused'],
  [500, 'delivered', 'served'],
  [409, 'exists', 'served'],
  [404, 'missing', 'served'],
  [200, 'unknown', 'unclear'],
  [200, 'rejected', 'refused'],
  [502, 'unknown', 'failed'],
] as const)('an answer %d that a rule takes as %s counts as %s', (status, outcome, health) => {
  expect(healthOf(status, verdictAs(outcome, answer(status), 0))).toBe(health)
})
