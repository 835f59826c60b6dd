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
/** The run of this number sent the row at half past its minute, and had its answer two seconds later. */
const answer = (run: number, outcome: string) => ({
  ...{ run: `RUN${run}`, outcome, startedAt: new Date(run * 60_000 + 30_000).toISOString() },
  durationMs: 2_000,
})
interface Known {
  readonly attempts?: readonly object[]
  /** The runs whose partition has reported its end. */
  readonly ended?: number
}
const lifeOf = (changes: readonly object[], retry: object | null, { attempts = [], ended = 9 }: Known = {}) =>
  rowLife({
    ...{ sync: 's', key: '1', attempts, more: false },
    runs: {
      events: new Map([1, 2, 3].map(run => [`RUN${run}`, { run, runId: `RUN${run}`, status: 'running' }])),
      reports: new Map([[0, { run: ended, ended: true }]]),
    },
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

it('tells that the row is delivered once its answer has come, while the run goes on, with the time of the answer', () => {
  const both = [added, change(2, {})]
  const atWork = { ended: 1 }
  expect(lifeOf(both, null, atWork)?.state).toMatchObject({ is: 'under-way', row: OLD })
  const attempts = [answer(2, 'delivered'), answer(2, 'throttled'), answer(1, 'delivered')]
  expect(lifeOf(both, null, { ...atWork, attempts })?.state).toMatchObject({
    ...{ is: 'present', row: NEW, since: '1970-01-01T00:02:32.000Z' },
  })
  // The change before has an answer of its own, and the one behind it was not delivered.
  const third = [...both, change(3, { before: NEW, after: OLD })]
  const rejected = { attempts: [answer(3, 'rejected'), ...attempts] }
  expect(lifeOf(third, failed(3), rejected)?.state).toMatchObject({
    ...{ is: 'present', row: NEW, since: '1970-01-01T00:02:32.000Z' },
  })
})

it('tells the commit and the position of the entry that a change comes from, but none of a comparison', () => {
  const streamed = { slice: 1, epoch: 1, order: '0000000001ab34', committedAt: 30_000 }
  const compared = { slice: 1, epoch: 1, order: '', committedAt: null }
  const life = lifeOf([change(1, { streamed: compared }), change(2, { streamed })], null)
  expect(life?.changes.map(({ source }) => source)).toEqual([
    { committedAt: '1970-01-01T00:00:30.000Z', position: '0000000001ab34' },
    undefined,
  ])
})
