import { sampleReport } from '@sluice/testkit/sample-records'
import { expect, it } from 'vitest'
import { AbandonedRun } from './passed-run.ts'

const REPORTED = sampleReport({ run: 7, ended: true, requestsEnd: 0 })

it('an abandoned run sends no request from that offset on, before any report says so', () => {
  const run = new AbandonedRun(() => undefined)
  run.abandon(7, 40)
  expect([39, 40, 41].map(offset => run.includes(7, offset))).toEqual([false, true, true])
  expect(run.includes(8, 41)).toBe(false)
})

it('a run that any process has reported as over before its run-end sends nothing', () => {
  const run = new AbandonedRun(() => REPORTED)
  expect([run.includes(7, 0), run.includes(8, 0)]).toEqual([true, false])
})

it('a run whose run-end is reached sends its requests', () => {
  const run = new AbandonedRun(() => ({ ...REPORTED, requestsEnd: 50 }))
  expect(run.includes(7, 40)).toBe(false)
})
