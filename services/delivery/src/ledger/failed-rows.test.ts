import { expect, it } from 'vitest'
import { FailureReasons } from './failed-rows.ts'

type Entry = NonNullable<Parameters<FailureReasons['finished']>[1]['retry'][number]['entry']>

const entry = (error: string | null, status: number | null = 422): Entry => ({
  ...{
    run: 1,
    seq: 0,
    op: 'added',
    outcome: 'rejected',
    status,
    error,
    idempotencyKey: null,
    answered: true,
  },
  ...{ requestHash: '', requestRows: 1, attempts: 1, runs: 1, since: 0 },
})
const failed = (...entries: readonly (readonly [key: string, entry: Entry | null])[]) => ({
  retry: entries.map(([key, one]) => ({ key, entry: one })),
})

it('counts rows by reason, in the order in which the reasons came, each with its first key', () => {
  const reasons = new FailureReasons(() => 7)
  reasons.finished(0, failed(['1', entry('no e-mail 1')], ['2', entry('no e-mail 22')], ['3', null]))
  reasons.finished(1, failed(['4', entry('down', 500)]))
  reasons.finished(2, failed(['5', entry('no e-mail 3')]))
  expect(reasons.all()).toMatchObject([
    { error: 'no e-mail 1', status: 422, key: '1', since: 7, rows: 3, retried: 0 },
    { error: 'down', status: 500, key: '4', rows: 1 },
  ])
  reasons.clear()
  expect(reasons.all()).toEqual([])
})

it('counts rows that will be sent again until they are finished', () => {
  const reasons = new FailureReasons()
  const refused = { outcome: 'unknown', status: null, error: 'ECONNREFUSED' } as const
  reasons.willRetry(0, { ...refused, key: '1', rows: 100 })
  reasons.willRetry(0, { ...refused, key: '1', rows: 40 })
  reasons.willRetry(1, { ...refused, key: '7', rows: 1 })
  expect(reasons.all()).toMatchObject([{ error: 'ECONNREFUSED', key: '1', rows: 0, retried: 41 }])
  reasons.finished(0, failed(['1', { ...entry('ECONNREFUSED', null), outcome: 'unknown' }]))
  expect(reasons.all()).toMatchObject([{ rows: 1, retried: 1 }])
  reasons.finished(1, failed())
  expect(reasons.all()).toMatchObject([{ rows: 1, retried: 0 }])
})

it('tells rows that an earlier run left from rows that fail for the first time', () => {
  const before = new FailureReasons()
  before.finished(0, failed(['1', { ...entry('no e-mail'), runs: 2 }], ['2', entry('no e-mail')]))
  const reasons = new FailureReasons()
  reasons.finished(1, failed(['3', { ...entry('no e-mail'), runs: 9 }]))
  expect(reasons.all(before.all())).toMatchObject([{ error: 'no e-mail', rows: 3, again: 2 }])
})

it('goes on from the reasons of an earlier owner', () => {
  const before = new FailureReasons(() => 1)
  before.finished(0, failed(['1', entry('down', 500)]))
  const reasons = new FailureReasons(() => 2)
  reasons.finished(1, failed(['2', entry('no e-mail')], ['3', entry('down', 500)]))
  expect(reasons.all(before.all())).toMatchObject([
    { error: 'down', since: 1, key: '1', rows: 2 },
    { error: 'no e-mail', rows: 1 },
  ])
})

it('keeps few reasons with short texts, and the first ones above all', () => {
  const reasons = new FailureReasons()
  for (let n = 0; n < 1_000; n += 1)
    reasons.finished(n, failed([`${n}`, entry(String.fromCharCode(97 + n).repeat(5_000), 400 + n)]))
  const kept = reasons.all()
  expect(kept[0]?.error).toMatch(/^a+ …$/)
  expect(JSON.stringify(kept).length).toBeLessThan(5_000)
})
