import type { RunView } from '@sluice/contracts/api'
import { expect, it } from 'vitest'
import { runsText } from './runs.ts'

const AT = '2026-01-01T00:00:00.000Z'
const run: RunView = {
  ...{ id: 'R2', sync: 'people', status: 'failed', cause: 'schedule', startedAt: AT, endedAt: AT },
  ...{ rowsRead: 0, rowsInvalid: 0, error: 'no right to follow', triggers: {} },
}
const textOf = (view: RunView): string =>
  runsText(
    { runs: [view], next: null },
    {
      ...{ columns: 200, called: { command: 'sluice', dir: null }, color: false },
      ...{ sync: undefined, now: Date.parse(AT) },
    },
  )

it('says how many failed starts of a stream an entry stands for', () => {
  expect(textOf({ ...run, failedStarts: 12 })).toContain('R2 stands for 12 failed starts of people')
  expect(textOf(run)).not.toContain('stands for')
})

it('counts the rows of a stream at work that wait, and not the tries of each', () => {
  const counts = {
    detected: 9,
    delivered: 5,
    rejected: 40,
    unknown: 0,
    unsent: 0,
    requests: 45,
    attempts: 45,
  }
  const told = { comparing: null, read: 9, unreadable: 0, lagRecords: 0, lagSeconds: null, committedAt: null }
  const stream = { since: AT, ...told, waiting: 1 }
  const text = textOf({ ...run, status: 'running', endedAt: null, triggers: { changed: counts }, stream })
  expect(text).toMatch(/streaming .* 5 +1/)
  expect(text).toContain('1 row failed')
})
