import { expect, it } from 'vitest'
import { statusRange } from './status-filter.ts'

it('reads one status, and a class of them', () => {
  expect(statusRange('422')).toEqual({ from: 422, to: 422 })
  expect(statusRange('4xx')).toEqual({ from: 400, to: 499 })
})

it.each(['', '4x', '42', '6xx', '099', '4XX', '4222', 'abc'])('knows that %j is neither', text => {
  expect(statusRange(text)).toBeNull()
})
