import type { RunView } from '@sluice/contracts/api'
import { expect, it } from 'vitest'
import { comparedErrors, comparedRows, comparedStatuses, comparedTimes } from './compare-runs.ts'

const at = (second: number): string => new Date(second * 1_000).toISOString()
const counts = (delivered: number, rejected = 0) => ({
  ...{ detected: delivered + rejected, delivered, rejected, unknown: 0, unsent: 0, requests: 1, attempts: 1 },
})
const run = (seconds: number, changes: Partial<RunView>): RunView => ({
  ...{ id: 'R', sync: 's', status: 'success', cause: 'manual', startedAt: at(0), endedAt: at(seconds) },
  ...{ rowsRead: 1_000, rowsInvalid: 0, error: null, triggers: {} },
  ...changes,
})
const told = (lines: readonly { what: string; before: string; after: string; difference: string }[]) =>
  lines.map(({ what, before, after, difference }) => [what, before, after, difference].join(' | '))

it('compares rows by trigger and outcome, and leaves out outcomes that neither run has', () => {
  const before = run(10, { triggers: { added: counts(1_200) } })
  const after = run(10, { rowsRead: 1_500, triggers: { added: counts(200, 3), removed: counts(1) } })
  expect(told(comparedRows({ before, after }))).toEqual([
    'Rows read | 1,000 | 1,500 | +500',
    'added, detected | 1,200 | 203 | −997',
    'added, delivered | 1,200 | 200 | −1,000',
    'added, rejected | 0 | 3 | +3',
    'removed, detected | 0 | 1 | +1',
    'removed, delivered | 0 | 1 | +1',
  ])
})

it('compares the whole run, each phase, and the rows per second', () => {
  const phases = (seconds: number) => [{ phase: 'sending' as const, startedAt: at(0), endedAt: at(seconds) }]
  const before = run(10, { phases: phases(8), triggers: { added: counts(100) } })
  const after = run(20, { phases: phases(8), triggers: { added: counts(100) } })
  expect(told(comparedTimes({ before, after }))).toEqual([
    'Whole run | 10.0 s | 20.0 s | +10.0 s',
    'Sending requests | 8.0 s | 8.0 s | ',
    'Rows delivered per second | 10 | 5.0 | −5.0',
  ])
  expect(told(comparedTimes({ before, after: { ...after, endedAt: null } }))[0]).toBe(
    'Whole run | 10.0 s | not known | ',
  )
})

const answers = (...errors: readonly [string, number][]) => ({
  ...{ run: 'R', sync: 's', isWhole: true, statuses: [{ status: 422, attempts: errors.length }] },
  errors: errors.map(([error, attempts]) => ({ outcome: 'rejected' as const, status: 422, error, attempts })),
})

it('says which errors are new, which are gone, and which are in both', () => {
  const before = answers(['row 1 has no e-mail', 4], ['too long', 1])
  const after = answers(['row 9 has no e-mail', 2], ['no name', 7])
  const { come, gone, stayed } = comparedErrors({ before, after })
  expect(come.map(({ error }) => error)).toEqual(['no name'])
  expect(gone.map(({ error }) => error)).toEqual(['too long'])
  expect(stayed).toMatchObject([{ error: 'row 9 has no e-mail', attempts: 2, attemptsBefore: 4 }])
})

it('compares answers by status, also those that only one run has', () => {
  const none = { ...answers(), statuses: [{ status: null, attempts: 2 }] }
  const lines = comparedStatuses({ before: none, after: answers(['no', 1]) })
  expect(told(lines)).toEqual(['No answer | 2 | 0 | −2', 'HTTP 422 | 0 | 1 | +1'])
})
