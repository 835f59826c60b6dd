/**
 * A whole year of instants where clocks change in different ways, against a reference that looks at every
 * minute.
 */
import { expect, it } from 'vitest'
import { parseCron } from './cron.ts'
import { localTimes, referenceInstants } from '../../test/cron-reference.ts'
import { CRONS } from '../../test/zone-cases.ts'

const YEAR = { from: Date.UTC(2026, 0, 1), to: Date.UTC(2027, 0, 1) }

it.each(['America/New_York', 'Australia/Lord_Howe', 'Africa/Casablanca'])(
  'cron has in %s the instants of a reference for a year',
  { timeout: 120_000 },
  zone => {
    const local = localTimes(zone, YEAR)
    for (const cron of CRONS) {
      const parsed = parseCron(cron, zone)
      if (parsed.kind === 'wrong') throw new Error(parsed.message)
      const found: number[] = []
      const { next } = parsed
      for (let at = next(YEAR.from - 1); at !== null && at < YEAR.to; at = next(at)) found.push(at)
      const wanted = referenceInstants(cron, local)
      expect(found.length).toBe(wanted.length)
      expect(found.findIndex((instant, index) => instant !== wanted[index])).toBe(-1)
    }
  },
)
