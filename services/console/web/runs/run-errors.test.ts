import type { FailedRow } from '@sluice/contracts/api'
import { describe, expect, it } from 'vitest'
import { groupsOf, retriedInWords } from './run-errors.tsx'
import { totalsOf } from './totals.ts'

const row = (key: string, status: number | null, error: string | null): FailedRow => ({
  ...{ key, status, error, op: 'added', outcome: 'rejected', attempts: 1, runs: 1 },
  since: '2026-01-01T00:00:00.000Z',
})

describe('rows that were not delivered', () => {
  it('are grouped by error and status, the most frequent first, each with the first key', () => {
    const failed = [row('1', 500, 'down'), row('2', 422, 'no e-mail'), row('3', 422, 'no e-mail')]
    expect(groupsOf(failed)).toEqual([
      { error: 'no e-mail', status: 422, outcome: 'rejected', count: 2, key: '2' },
      { error: 'down', status: 500, outcome: 'rejected', count: 1, key: '1' },
    ])
  })

  it('say so if no reason is known', () => {
    expect(groupsOf([row('1', null, null)])).toMatchObject([{ error: 'No reason is known.', key: '1' }])
  })
})

it('says how many rows of a group are tried again', () => {
  expect([
    retriedInWords(1, 1),
    retriedInWords(1, 9),
    retriedInWords(1_200, 1_300),
    retriedInWords(9, 9),
  ]).toEqual([
    'It is tried again.',
    '1 of them is tried again.',
    '1,200 of them are tried again.',
    'All of them are tried again.',
  ])
})

describe('the totals of a run', () => {
  it('add up over its triggers', () => {
    const counts = {
      detected: 10,
      delivered: 4,
      rejected: 1,
      unknown: 1,
      unsent: 0,
      requests: 3,
      attempts: 4,
    }
    const totals = totalsOf({
      triggers: { added: counts, removed: { ...counts, detected: 2, delivered: 0 } },
    })
    expect(totals).toMatchObject({ detected: 12, delivered: 4, failed: 4, requests: 6, attempts: 8 })
  })
})
