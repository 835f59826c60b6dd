import { sampleCounts } from '@sluice/testkit/sample-records'
import { expect, it } from 'vitest'
import { DeliveredRows } from './delivered-rows.ts'

const HOUR = 3_600_000
const NOON = Date.UTC(2026, 10, 30, 12)
const ended = (run: number, delivered: number, endedAt: number) => ({
  ...{ runId: `R${run}`, run, endedAt, counts: { added: sampleCounts({ delivered }) } },
})

it('adds up what the runs of a day delivered, each once, even if it ends twice', () => {
  const rows = new DeliveredRows()
  rows.add(ended(1, 1_000, NOON - 20 * HOUR))
  rows.add(ended(2, 10, NOON - HOUR))
  rows.add(ended(3, 7, NOON))
  rows.add(ended(3, 5, NOON))
  expect(rows.since(NOON - 12 * HOUR)).toEqual({ rows: 15, isWhole: true })
  expect(rows.since(NOON - 24 * HOUR)).toEqual({ rows: 1_015, isWhole: true })
})

it('says that runs are missing, where the topic has forgotten some', () => {
  const rows = new DeliveredRows()
  rows.add(ended(400, 1, NOON - 11 * HOUR))
  rows.add(ended(401, 1, NOON))
  expect(rows.since(NOON - 12 * HOUR)).toEqual({ rows: 2, isWhole: false })
  expect(rows.since(NOON - HOUR)).toEqual({ rows: 1, isWhole: true })
})

it('begins at 1 again after a reset, and misses nothing', () => {
  const rows = new DeliveredRows()
  rows.add(ended(1, 4, NOON - HOUR))
  rows.add({ ...ended(1, 3, NOON), runId: 'OTHER' })
  expect(rows.since(NOON - 2 * HOUR)).toEqual({ rows: 7, isWhole: true })
})
