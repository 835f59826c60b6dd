import type { FailedRow } from '@sluice/contracts/api'
import { expect, it } from 'vitest'
import { failedGroups, isInGroup, parseGroup } from './failed-group.ts'

const row = (key: string, error: string | null, status: number | null = 422): FailedRow => ({
  ...{ key, op: 'added', outcome: 'rejected', status, error, attempts: 1, runs: 1 },
  since: '2026-01-01T00:00:00.000Z',
})

it('names the rows of a list by their reason and their runs, and no row that fails later', () => {
  const failed = [
    { row: row('1', 'row 1 has no e-mail'), run: 3 },
    { row: row('2', 'row 2 has no e-mail'), run: 5 },
    { row: row('3', null, 500), run: 5 },
  ]
  const [emails, down] = failedGroups(failed, 'i')
  expect(emails).toMatchObject({ count: 2, key: '1', id: expect.stringMatching(/^[0-9a-f]{12}\.3-5$/) })
  expect(down).toMatchObject({ count: 1, id: expect.stringMatching(/\.5-5$/) })
  const group = parseGroup(emails?.id ?? '')
  if (group === null) throw new Error('the id cannot be read')
  const isIn = (failure: FailedRow, run: number, incarnation = 'i') =>
    isInGroup(group, failure, { run, incarnation })
  expect([3, 4, 5].map(run => isIn(row('9', 'row 9 has no e-mail'), run))).toEqual([true, true, true])
  expect([2, 6].map(run => isIn(row('1', 'row 1 has no e-mail'), run))).toEqual([false, false])
  expect(isIn(row('1', 'row 1 has no name'), 3)).toBe(false)
  expect(isIn(row('1', 'row 1 has no e-mail', 400), 3)).toBe(false)
  expect(isIn({ ...row('1', 'row 1 has no e-mail'), outcome: 'unknown' }, 3)).toBe(false)
  // After a reset, the numbers of runs begin anew.
  expect(isIn(row('1', 'row 1 has no e-mail'), 3, 'j')).toBe(false)
})

it.each(['', '3f2a91c07b1e', '3f2a91c07b1e.5', 'x.1-2', '3F2A91C07B1E.1-2'])('does not read %j', text => {
  expect(parseGroup(text)).toBeNull()
})
