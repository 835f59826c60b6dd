import { describe, expect, it } from 'vitest'
import { parseCron } from './cron.ts'
import { localTimes, referenceInstants } from '../../test/cron-reference.ts'
import { CRONS, ZONES } from '../../test/zone-cases.ts'

const DAY_MS = 86_400_000

function nextOf(text: string, zone?: string): (after: number) => number | null {
  const parsed = parseCron(text, zone)
  if (parsed.kind === 'wrong') throw new Error(parsed.message)
  return parsed.next
}

function instants(text: string, zone: string, { from, to }: { from: number; to: number }): number[] {
  const next = nextOf(text, zone)
  const found: number[] = []
  for (let at = next(from - 1); at !== null && at < to; at = next(at)) found.push(at)
  return found
}

function isoTimes(found: readonly number[]): string[] {
  return found.map(each => new Date(each).toISOString().slice(5, 16))
}

/** The days of 2026 at which the clocks of a zone change. */
function changesOf(zone: string): number[] {
  const format = new Intl.DateTimeFormat('en', {
    timeZone: zone,
    timeZoneName: 'longOffset',
    year: 'numeric',
  })
  const days: number[] = []
  for (let day = Date.UTC(2026, 0, 1); day < Date.UTC(2027, 0, 1); day += DAY_MS)
    if (format.format(day) !== format.format(day + DAY_MS)) days.push(day)
  return days
}

describe('cron', () => {
  // A whole year: cron.long.test.ts.
  it.each(ZONES)('has in %s the instants of a reference around each change of the clocks', zone => {
    for (const day of changesOf(zone)) {
      const time = { from: day - DAY_MS / 2, to: day + 2 * DAY_MS }
      const local = localTimes(zone, time)
      for (const cron of CRONS)
        expect([cron, isoTimes(instants(cron, zone, time))]).toEqual([
          cron,
          isoTimes(referenceInstants(cron, local)),
        ])
    }
  })

  it('comes when the clocks do where they skip its time, and once where the time comes twice', () => {
    const spring = { from: Date.UTC(2026, 2, 28), to: Date.UTC(2026, 2, 31) }
    expect(isoTimes(instants('30 2 * * *', 'Europe/Paris', spring))).toEqual([
      '03-28T01:30',
      '03-29T01:00',
      '03-30T00:30',
    ])
    const autumn = { from: Date.UTC(2026, 9, 24), to: Date.UTC(2026, 9, 27) }
    expect(isoTimes(instants('30 2 * * *', 'Europe/Paris', autumn))).toEqual([
      '10-24T00:30',
      '10-25T00:30',
      '10-26T01:30',
    ])
  })

  it('goes on through the change where it comes every hour', () => {
    const autumn = { from: Date.UTC(2026, 9, 24, 23, 50), to: Date.UTC(2026, 9, 25, 2, 10) }
    expect(isoTimes(instants('*/30 * * * *', 'Europe/Paris', autumn))).toEqual([
      '10-25T00:00',
      '10-25T00:30',
      '10-25T01:00',
      '10-25T01:30',
      '10-25T02:00',
    ])
  })

  it('finds the leap day from eight years away', () => {
    expect(nextOf('0 0 29 2 *')(Date.UTC(2097, 0, 1))).toBe(Date.UTC(2104, 1, 29))
  })

  it('takes names such as @daily', () => {
    expect(nextOf('@daily', 'Asia/Tokyo')(Date.UTC(2026, 0, 1))).toBe(Date.UTC(2026, 0, 1, 15))
  })

  it.each([
    ['0 */5 * * * *', undefined, 'cron', /found 6; a schedule by cron has no seconds: leave out `0`/],
    ['* * * *', undefined, 'cron', /^wanted five fields \(minute, hour, .*\), found 4$/],
    ['61 * * * *', undefined, 'cron', /^invalid value for minute: 61$/],
    ['0 0 31 2 *', undefined, 'cron', /^this day never comes$/],
    ['@often', undefined, 'cron', /^there is no `@often`; wanted five fields, or one of `@yearly`/],
    ['0 0 * * *', 'Paris', 'timezone', /^there is no time zone `Paris`; did you mean `Europe\/Paris`\?$/],
    ['0 0 * * *', 'US/Pacifc', 'timezone', /did you mean `US\/Pacific`\?$/],
    ['0 0 * * *', 'Nowhere/Land', 'timezone', /^there is no time zone `Nowhere\/Land`$/],
  ])('says of %j in %s what is wrong', (text, zone, at, message) => {
    expect(parseCron(text, zone)).toEqual({ kind: 'wrong', at, message: expect.stringMatching(message) })
  })
})
