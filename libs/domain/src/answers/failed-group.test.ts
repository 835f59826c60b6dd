import type { FailedRow } from '@sluice/contracts/api'
import { expect, it } from 'vitest'
import { failedGroups, isInGroup, listId, parseGroup } from './failed-group.ts'

const row = (key: string, error: string | null, since: number, status: number | null = 422): FailedRow => ({
  ...{ key, op: 'added', outcome: 'rejected', status, error, attempts: 1, runs: 1 },
  since: new Date(since).toISOString(),
})

it('names the rows of a list by their reason, and no row that fails first at a later time', () => {
  const failed = [
    { row: row('1', 'row 1 has no e-mail', 3_000), run: 4 },
    { row: row('2', 'row 2 has no e-mail', 5_000), run: 3 },
    { row: row('3', null, 6_000, 500), run: 5 },
  ]
  const [emails, down] = failedGroups(failed, 'i')
  expect(emails).toMatchObject({ count: 2, key: '1', id: expect.stringMatching(/^[0-9a-f]{12}\.5000-4$/) })
  expect(down).toMatchObject({ count: 1, id: expect.stringMatching(/\.6000-5$/) })
  const group = parseGroup(emails?.id ?? '')
  if (group === null) throw new Error('the id cannot be read')
  const isIn = (failure: FailedRow, incarnation = 'i') => isInGroup(group, failure, incarnation)
  const email = (since: number) => row('9', 'row 9 has no e-mail', since)
  expect([3_000, 4_000, 5_000].map(since => isIn(email(since)))).toEqual([true, true, true])
  // Later runs try it again.
  expect(isIn({ ...email(3_000), runs: 7, attempts: 9 })).toBe(true)
  expect(isIn(email(5_001))).toBe(false)
  expect(isIn(row('1', 'row 1 has no name', 3_000))).toBe(false)
  expect(isIn(row('1', 'row 1 has no e-mail', 3_000, 400))).toBe(false)
  expect(isIn({ ...email(3_000), outcome: 'unknown' })).toBe(false)
  expect(isIn(email(3_000), 'j')).toBe(false)
})

it('names all rows of a list, and those of a status in it', () => {
  const failed = [
    { row: row('1', 'no e-mail', 3_000), run: 4 },
    { row: row('3', null, 6_000, 500), run: 3 },
  ]
  expect(['all.6000-4', '422.6000-4', '5.6000-4', 'all.0-0']).toEqual([
    ...[listId(failed, null), listId(failed, 422), listId(failed, 5), listId([], null)],
  ])
  const isIn = (id: string, failure: FailedRow) => {
    const group = parseGroup(id)
    return group !== null && isInGroup(group, failure, 'i')
  }
  // Whatever the reason is by now.
  const all = [row('1', 'timed out', 3_000, null), row('3', null, 6_000, 500), row('9', null, 6_001, 500)]
  expect(all.map(each => isIn('all.6000-4', each))).toEqual([true, true, false])
  expect(all.map(each => isIn('5.6000-4', each))).toEqual([false, true, false])
  expect(all.map(each => isIn('422.6000-4', each))).toEqual([false, false, false])
  expect(all.map(each => isIn('all.0-0', each))).toEqual([false, false, false])
})

it.each([
  '',
  '6.1-2',
  '42.1-2',
  'All.1-2',
  'all.1',
  '3f2a91c07b1e',
  '3f2a91c07b1e.5',
  'x.1-2',
  '3F2A91C07B1E.1-2',
])('does not read %j', text => {
  expect(parseGroup(text)).toBeNull()
})
