import { sampleReport } from '@sluice/testkit/sample-records'
import { expect, it } from 'vitest'
import { CutRun } from './passed-run.ts'

const REPORTED = sampleReport({ run: 7, ended: true, requestsEnd: 0 })

it('a run that is cut sends no request from its place on, before any report tells of it', () => {
  const cut = new CutRun(() => undefined)
  cut.at(7, 40)
  expect([39, 40, 41].map(offset => cut.has(7, offset))).toEqual([false, true, true])
  expect(cut.has(8, 41)).toBe(false)
})

it('a run that any process has reported as over without its end sends nothing', () => {
  const cut = new CutRun(() => REPORTED)
  expect([cut.has(7, 0), cut.has(8, 0)]).toEqual([true, false])
})

it('a run whose end is reached sends its requests', () => {
  const cut = new CutRun(() => ({ ...REPORTED, requestsEnd: 50 }))
  expect(cut.has(7, 40)).toBe(false)
})
