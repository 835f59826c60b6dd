import { expect, it } from 'vitest'
import { duration } from './format.ts'

it.each([
  [380, '380 ms'],
  [12_400, '12.4 s'],
  [59_940, '59.9 s'],
  [59_960, '1 min 0 s'],
  [200_000, '3 min 20 s'],
  [359_700, '6 min 0 s'],
  [3_599_700, '1 h 0 min'],
  [7_199_000, '2 h 0 min'],
])('%d ms last %s', (ms, text) => {
  expect(duration(ms)).toBe(text)
})
