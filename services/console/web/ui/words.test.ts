import { describe, expect, it } from 'vitest'
import { limitsInWords } from '../syncs/limits-in-words.ts'
import { scheduleInWords } from '../syncs/schedule-in-words.ts'
import { duration, fromNow, pathOf, untilDue, waitedInWords } from './format.ts'

describe('words of the console', () => {
  it('show limits as people say them', () => {
    expect(limitsInWords(undefined)).toBe('1,000 requests per second, 100 at once')
    expect(limitsInWords({ rate: { requests: 50, per: 'minute' }, concurrency: 10 })).toBe(
      '50 requests per minute, 10 at once',
    )
    const two = [
      { requests: 10, per: 'second' },
      { requests: 300, per: '10s' },
    ]
    expect(limitsInWords({ rate: two })).toBe(
      '10 requests per second and 300 requests in 10 seconds, 100 at once',
    )
  })

  it('show schedules', () => {
    expect(scheduleInWords(undefined)).toBe('when somebody asks')
    expect(scheduleInWords({ every: '15m' })).toBe('every 15 minutes')
    expect(scheduleInWords({ every: '1h' })).toBe('every hour')
    expect(scheduleInWords({ every: '${EVERY}' })).toBe('every ${EVERY}')
    expect(scheduleInWords({ cron: '0 5 * * *', timezone: 'Europe/Paris' })).toBe(
      'cron 0 5 * * * (Europe/Paris)',
    )
  })

  it('show how long ago something was, and how long it took', () => {
    const now = Date.parse('2026-01-01T12:00:00Z')
    expect(fromNow('2026-01-01T11:59:58Z', now)).toBe('just now')
    expect(fromNow('2026-01-01T12:00:03Z', now)).toBe('in a moment')
    expect(fromNow('2026-01-01T11:57:00Z', now)).toBe('3 minutes ago')
    expect(fromNow('2026-01-01T14:00:00Z', now)).toBe('in 2 hours')
    expect([380, 12_400, 200_000, 3_900_000].map(duration)).toEqual([
      '380 ms',
      '12.4 s',
      '3 min 20 s',
      '1 h 5 min',
    ])
  })

  it('show when something is to come, also if it is late', () => {
    const now = Date.parse('2026-01-01T12:00:00Z')
    const due = (time: string) => untilDue(`2026-01-01T${time}Z`, now)
    expect(['11:59:40', '12:00:00', '12:00:01', '12:00:04', '12:00:30'].map(due)).toEqual([
      ...['due now', 'due now', 'in a few seconds', 'in a few seconds', 'in 30 seconds'],
    ])
  })

  it('show how long something waits, apart from when that ends', () => {
    const now = Date.parse('2026-01-01T12:00:38Z')
    const wait = (until: string | null) => waitedInWords({ since: '2026-01-01T12:00:00Z', until }, now)
    expect(wait(null)).toBe('It has waited for 38 s so far.')
    expect(wait('2026-01-01T12:01:00Z')).toMatch(/^It has waited for 38 s so far, and goes on by .*:01:00\.$/)
    expect(wait('2026-01-01T12:00:38Z')).toBe('It has waited for 38 s so far, and goes on now.')
  })

  it('show the path of an address', () => {
    expect(pathOf('https://api.example.com/customers/1?x=2')).toBe('/customers/1?x=2')
    expect(pathOf('https://api.example.com')).toBe('/')
  })
})
