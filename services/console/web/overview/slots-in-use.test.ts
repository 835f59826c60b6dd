import { expect, it } from 'vitest'
import { slotsInWords } from './slots-in-use.ts'

it.each([
  { what: 'while a run sends', inUse: 37, isSending: true, told: '37 of 100 at once now' },
  { what: 'between two requests of a run', inUse: 0, isSending: true, told: '0 of 100 at once now' },
  { what: 'for a test, or for another folder', inUse: 1, isSending: false, told: '1 of 100 at once now' },
  { what: 'at rest', inUse: 0, isSending: false, told: null },
  { what: 'if nobody knows', inUse: null, isSending: true, told: null },
  { what: 'beyond the limit', inUse: 250, isSending: true, told: '250 at once now' },
])('shows how many requests are under way $what', ({ inUse, isSending, told }) => {
  expect(slotsInWords({ inUse, limit: 100 }, isSending)).toBe(told)
})
