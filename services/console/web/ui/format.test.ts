import { describe, expect, it } from 'vitest'
import { count, duration, fromNow, localTime } from './format.ts'

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

describe('the formats of the pages are those of the browser for', () => {
  it.each([0, 7, 999, 1_000, 12_345, 1_234_567, 29.25, 1_234.5, -1_234, 0.1 + 0.2])(
    'the number %d',
    value => {
      expect(count(value)).toBe(new Intl.NumberFormat('en').format(value))
    },
  )

  it.each(['2026-01-05T03:07:09.000Z', '2026-09-30T23:59:59.000Z', '2026-12-31T00:00:00.000Z'])(
    'the time %s',
    iso => {
      const format = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })
      expect(localTime(iso)).toBe(format.format(new Date(iso)))
    },
  )

  it.each([
    [-6, 'second', -6_000],
    [-1, 'minute', -60_000],
    [14, 'minute', 840_000],
    [-1, 'hour', -3_600_000],
    [5, 'hour', 18_000_000],
    [-1, 'day', -86_400_000],
    [1, 'day', 86_400_000],
    [3, 'day', 259_200_000],
  ] as const)('%d of a %s from now', (amount, unit, ms) => {
    const format = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
    expect(fromNow(new Date(ms).toISOString(), 0)).toBe(format.format(amount, unit))
  })
})
