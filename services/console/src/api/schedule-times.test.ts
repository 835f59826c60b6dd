import { describe, expect, it } from 'vitest'
import { timesOf } from './schedule-times.ts'

const NOW = Date.parse('2026-03-28T12:00:00Z')

describe('the next times of a schedule', () => {
  it('are those of its time zone, through a change of the clocks', () => {
    const { times, timezone } = timesOf({ cron: '30 2 * * *', timezone: 'Europe/Paris', count: 3 }, NOW)
    expect(timezone).toBe('Europe/Paris')
    // On the 29th the clocks skip 02:30.
    expect(times).toEqual([
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
      '2026-03-31T00:30:00.000Z',
    ])
  })

  it('of an interval follow from the name of the sync, as runs do', () => {
    const of = (sync: string) => timesOf({ every: '15m', sync, count: 2 }, NOW)
    const [one = '', other = ''] = of('customers').times
    expect(Date.parse(other) - Date.parse(one)).toBe(900_000)
    expect(of('customers')).toEqual(of('customers'))
    expect(of('orders').times).not.toEqual(of('customers').times)
    expect(of('customers').timezone).toBeNull()
  })

  it.each([
    [{ cron: '61 * * * *' }, 'cron', /61/],
    [{ cron: '0 5 * * *', timezone: 'Europe/Pariss' }, 'timezone', /did you mean `Europe\/Paris`/],
    [{ cron: '0 0 30 2 *' }, 'cron', /never comes/],
    [{ every: '15 minutes' }, 'every', /a duration such as/],
    [{ every: '10ms' }, 'every', /at least 1s/],
    [{}, 'every', /either `every` or `cron`/],
    [{ every: '1h', cron: '0 5 * * *' }, 'every', /either/],
  ])('tell what is wrong with %j, and in which field', (schedule, field, message) => {
    const ask = (): unknown => timesOf({ ...schedule, count: 5 }, NOW)
    expect(ask).toThrow(
      expect.objectContaining({ code: 'usage', details: [expect.objectContaining({ field })] }),
    )
    expect(ask).toThrow(message)
  })
})
