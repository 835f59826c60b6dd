import { describe, expect, it } from 'vitest'
import { parseHttpDate, parseRetryAfter } from './retry-after.ts'

const NOW = Date.UTC(2026, 0, 1)
const HERE = { date: null, nowMs: NOW }

describe('Retry-After', () => {
  it.each([
    ['0', 0],
    ['120', 120_000],
    ['007', 7_000],
    ['1000000000', 1_000_000_000_000],
    ['9'.repeat(400), 1_000_000_000_000],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Thursday, 01-Jan-26 00:00:30 GMT', 30_000],
    ['Thu Jan  1 00:00:30 2026', 30_000],
    ['Thu Jan 01 00:00:30 2026', 30_000],
    ['Thu, 01 Jan 2020 00:00:30 GMT', 0],
    ['Friday, 01-Jan-99 00:00:00 GMT', 0],
  ])('%j asks for %d ms', (value, ms) => {
    expect(parseRetryAfter(value, HERE)).toBe(ms)
  })

  it.each([
    '',
    ' ',
    'soon',
    '-5',
    '+5',
    '0.5',
    '1e3',
    '1, 2',
    '1;2',
    '0x10',
    '５',
    '1s',
    'NaN',
    'Infinity',
    '2026-01-01',
    '2026-01-01T00:00:30Z',
    'Thu, 1 Jan 2026 00:00:30 GMT',
    'Thu, 01 Jan 2026 00:00:30 UTC',
    'Thu, 01 Jan 2026 00:00:30 +0100',
    'Thu, 01 Jan 2026 24:00:00 GMT',
    'Thu, 31 Feb 2026 00:00:30 GMT',
    'Thu, 00 Jan 2026 00:00:30 GMT',
    'thu, 01 jan 2026 00:00:30 gmt',
    'Thu, 01 Jan 2026 00:00:30 GMT, 5',
  ])('%j asks for nothing', value => {
    expect(parseRetryAfter(value, HERE)).toBeNull()
  })

  it('is compared with the clock of the server where the answer tells it', () => {
    const date = 'Wed, 31 Dec 2025 12:00:00 GMT'
    expect(parseRetryAfter('Wed, 31 Dec 2025 12:00:10 GMT', { date, nowMs: NOW })).toBe(10_000)
    expect(parseRetryAfter('Thu, 01 Jan 2026 00:00:30 GMT', { date: 'today', nowMs: NOW })).toBe(30_000)
  })
})

it('a date with a leap second is one', () => {
  expect(parseHttpDate('Sat, 31 Dec 2016 23:59:60 GMT')).toBe(Date.UTC(2017, 0, 1))
})
