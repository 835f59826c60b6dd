import { expect, it } from 'vitest'
import { rowLife, type RowRecords } from './row-life.ts'

const OLD = { id: 1, name: 'Ann' }
const NEW = { id: 1, name: 'Anna' }

/** A change that was published in this run, at as many minutes after the epoch. */
const change = (run: number, fields: object) => ({
  partition: 0,
  at: run * 60_000,
  value: {
    ...{ op: 'changed', run, seq: 1, before: OLD, beforeState: 'present', after: NEW, settledState: null },
    ...{ muted: null, captured: null, replayed: null, ...fields },
  },
})
const failed = (run: number) => ({
  partition: 0,
  at: run * 60_000,
  value: {
    ...{ run, seq: 1, outcome: 'rejected', status: 422, error: 'HTTP 422', key: '1', attempts: 1, runs: 2 },
    ...{ firstFailedAt: 0, lastFailedAt: 0, at: 0, since: 0, retryAfterRun: 0, requestId: 'r' },
  },
})
const lifeOf = (changes: readonly object[], retry: object | null) =>
  rowLife({
    ...{ sync: 's', key: '1', attempts: [], more: false },
    runs: { events: new Map(), reports: new Map([[0, { run: 9, ended: true }]]) },
    records: {
      changes,
      retry: new Map(retry === null ? [] : [[0, retry]]),
      captured: [],
      isForgotten: false,
    },
  } as unknown as RowRecords)

const added = change(1, { op: 'added', before: null, beforeState: 'absent', after: OLD })

it('tells since when a row is delivered, whatever failed after it', () => {
  const life = lifeOf([added, change(2, {}), change(3, {})], failed(3))
  expect(life?.state).toMatchObject({ is: 'present', row: OLD, since: '1970-01-01T00:01:00.000Z' })
})

it('tells the time of the change that was delivered last', () => {
  const life = lifeOf([added, change(2, {})], null)
  expect(life?.state).toMatchObject({ is: 'present', row: NEW, since: '1970-01-01T00:02:00.000Z' })
})
