import { describe, expect, it } from 'vitest'
import type { Attempt, RequestRow } from '@sluice/contracts/records'
import type { Op, Outcome } from '@sluice/contracts/state'
import {
  sampleAttempt,
  sampleCounts,
  sampleReplayOf,
  sampleRequest,
  sampleRetried,
  sampleRow,
} from '@sluice/testkit/sample-records'
import { effectsOf, type Effects, type FinishedRequest } from './effects.ts'

type Finished = Partial<Omit<FinishedRequest, 'ended'>> & { readonly final?: Attempt }

function effects({ final = sampleAttempt(), ...fields }: Finished): Effects {
  const { run, trigger, rows, replayOf } = sampleRequest()
  const { attempts = 1 } = fields
  const ended = [{ positions: null, attempt: final, attempts }]
  return effectsOf({ run, trigger, rows, attempts, requests: 1, ended, replayOf, ...fields })
}

/** Rows a, b, c, … */
const rows = (...fields: readonly Partial<RequestRow>[]): readonly RequestRow[] =>
  fields.map((own, seq) => sampleRow({ key: 'abc'[seq] ?? '', seq, ...own }))

/** Returns the outcome of each key's retry entry, or `gone` for a tombstone. */
const left = ({ retry }: Effects) => retry.map(({ key, entry }) => [key, entry?.outcome ?? 'gone'])

describe('what a finished request writes', () => {
  it('is nothing for rows that were delivered at once', () => {
    expect(left(effects({ rows: rows({}, {}) }))).toEqual([])
  })

  it('is a tombstone for a row that was delivered at last', () => {
    expect(left(effects({ rows: rows({}, { retried: sampleRetried() }) }))).toEqual([['b', 'gone']])
  })

  it.each<Outcome>(['delivered', 'rejected', 'unknown', 'unsent', 'exists', 'missing'])(
    'is nothing but counts for a request of a replay that came to %s: its rows were settled before',
    outcome => {
      const captured = { seq: 0, outcome, error: null, captured: '{"id":1}' }
      const final = sampleAttempt({ outcome, rows: [captured] })
      const both = rows({}, { retried: sampleRetried(), captured: '{"id":2}' })
      const { counts, ...entries } = effects({ rows: both, final, replayOf: sampleReplayOf() })
      expect(entries).toEqual({ retry: [], captured: [] })
      expect(counts.added).toMatchObject({ requests: 1, attempts: 1 })
      expect(counts).toEqual(effects({ rows: both, final }).counts)
    },
  )

  it.each<Outcome>(['rejected', 'unknown', 'unsent', 'exists', 'missing'])(
    'is an entry for every row of one that came to %s',
    outcome => {
      const final = sampleAttempt({ outcome })
      const both = rows({}, { retried: sampleRetried() })
      expect(left(effects({ rows: both, final }))).toEqual([
        ['a', outcome],
        ['b', outcome],
      ])
    },
  )

  it('takes a removal of what the API does not know as done', () => {
    const final = sampleAttempt({ outcome: 'missing' })
    const removed = rows({ op: 'removed' }, { op: 'removed', retried: sampleRetried() })
    const done = effects({ trigger: 'removed', rows: removed, final })
    expect(left(done)).toEqual([['b', 'gone']])
    expect(done.counts.removed).toMatchObject({ delivered: 2, rejected: 0 })
  })

  it('is small for each row, however long the text is that the API refused them with', () => {
    const final = sampleAttempt({ outcome: 'rejected', error: 'é'.repeat(50_000) })
    const [entry] = effects({ rows: rows({}), final }).retry
    expect(entry?.entry?.error).toMatch(/^é{498} …$/)
  })

  it('goes by the row where its outcome is its own', () => {
    const own = { seq: 1, outcome: 'rejected', error: 'no such city', captured: null } as const
    const done = effects({ rows: rows({}, {}, {}), final: sampleAttempt({ rows: [own] }) })
    expect(done.retry).toMatchObject([{ key: 'b', entry: { outcome: 'rejected', error: 'no such city' } }])
    expect(done.counts.added).toEqual(sampleCounts({ delivered: 2, rejected: 1, requests: 1, attempts: 1 }))
  })

  it('takes a throttled attempt that was the last as unsent', () => {
    expect(left(effects({ final: sampleAttempt({ outcome: 'throttled' }) }))).toEqual([['a', 'unsent']])
  })
})

describe('the values that are kept', () => {
  const now = (captured: string | null) =>
    sampleAttempt({
      rows: captured === null ? [] : [{ seq: 0, outcome: 'delivered', error: null, captured }],
    })
  const kept = (row: Partial<RequestRow>, final = now(null), more: Finished = {}) =>
    effects({ run: 7, trigger: row.op ?? 'added', rows: rows(row), final, ...more }).captured

  it('are those of the answer, with the place of the change', () => {
    expect(kept({ seq: 0 }, now('{"id":5}'))).toEqual([
      { key: 'a', values: { run: 7, seq: 0, values: '{"id":5}' } },
    ])
    expect(kept({})).toEqual([])
  })

  it('are those from before too, where the row was there, or may have been', () => {
    const captured = '{"id":5}'
    const both = [{ key: 'a', values: expect.objectContaining({ values: '{"id":5,"rev":2}' }) }]
    expect(kept({ op: 'changed', captured }, now('{"rev":2}'))).toEqual(both)
    expect(kept({ op: 'added', uncertain: true, captured }, now('{"rev":2}'))).toEqual(both)
    expect(kept({ op: 'changed', captured })).toEqual([])
    expect(kept({ op: 'added', uncertain: true, captured })).toEqual([])
    expect(kept({ op: 'changed', captured }, now('{"id":5}'))).toEqual([])
  })

  it('leave out earlier values if the row was certainly not there', () => {
    const captured = '{"id":5,"rev":1}'
    expect(kept({ captured }, now('{"id":6}'))).toMatchObject([{ values: { values: '{"id":6}' } }])
    expect(kept({ captured })).toEqual([{ key: 'a', values: null }])
  })

  it('go with the row', () => {
    const captured = '{"id":5}'
    const gone = [{ key: 'a', values: null }]
    const missing = sampleAttempt({ outcome: 'missing' })
    expect(kept({ op: 'removed', captured })).toEqual(gone)
    expect(kept({ op: 'removed', captured }, missing)).toEqual(gone)
    expect(kept({ op: 'changed', captured }, missing)).toEqual(gone)
    expect(kept({ op: 'removed', captured: null })).toEqual([])
  })

  it.each<Outcome>(['rejected', 'unknown', 'unsent', 'exists'])('stay as they are after %s', outcome => {
    const final = sampleAttempt({ outcome })
    for (const op of ['added', 'changed', 'removed'] as const)
      expect(kept({ op, captured: '{"id":5}' }, final)).toEqual([])
  })
})

describe('a removal that lacks a value which was never captured', () => {
  it('counts as rejected, and leaves neither an entry nor values behind', () => {
    const final = sampleAttempt({ attempt: 0, outcome: 'rejected' })
    const row = { op: 'removed', captured: '{"rev":1}', retried: sampleRetried() } as const
    const of = { trigger: 'removed', rows: rows(row), attempts: 0, requests: 0, final } as const
    expect(effects({ ...of, forgets: true })).toEqual({
      retry: [{ key: 'a', entry: null }],
      captured: [{ key: 'a', values: null }],
      counts: { removed: sampleCounts({ rejected: 1 }) },
    })
    expect(left(effects(of))).toEqual([['a', 'rejected']])
  })
})

describe('an entry', () => {
  const final = sampleAttempt({
    outcome: 'unknown',
    answered: false,
    status: null,
    error: 'the connection broke',
    startedAt: 50,
  })
  const entryOf = (fields: Finished) => effects({ final, ...fields }).retry[0]?.entry

  it('says what a later run needs to know whether it sends the same again', () => {
    expect(entryOf({ run: 7, rows: rows({ seq: 4 }, {}) })).toEqual({
      run: 7,
      seq: 4,
      op: 'added',
      outcome: 'unknown',
      status: null,
      error: 'the connection broke',
      idempotencyKey: 'key',
      answered: false,
      requestHash: 'hash',
      requestRows: 2,
      attempts: 1,
      runs: 1,
      since: 50,
    })
  })

  it('goes on counting where earlier runs stopped', () => {
    const retried = sampleRetried({ attempts: 5, runs: 2, since: 10 })
    expect(entryOf({ rows: rows({ retried }), attempts: 3 })).toMatchObject({
      attempts: 8,
      runs: 3,
      since: 10,
    })
  })
})

describe('the counts of a finished request', () => {
  it.each<[Op, Outcome, string]>([
    ['added', 'exists', 'rejected'],
    ['changed', 'missing', 'rejected'],
    ['removed', 'unsent', 'unsent'],
  ])('count %s rows that came to %s as %s', (op, outcome, figure) => {
    const of = rows({ op }, { op })
    const { counts } = effects({ trigger: op, rows: of, final: sampleAttempt({ outcome }), attempts: 3 })
    expect(counts).toEqual({ [op]: sampleCounts({ [figure]: 2, requests: 1, attempts: 3 }) })
  })

  it('count no request and no attempt for rows that could not be rendered', () => {
    const final = sampleAttempt({ attempt: 0, outcome: 'rejected' })
    const { counts } = effects({ attempts: 0, requests: 0, final })
    expect(counts).toEqual({ added: sampleCounts({ rejected: 1 }) })
  })
})
