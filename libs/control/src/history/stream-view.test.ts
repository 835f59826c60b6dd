import type { RunEvent } from '@sluice/contracts/records'
import { sampleEvent } from '@sluice/testkit/sample-records'
import { expect, it } from 'vitest'
import { streamView } from './stream-view.ts'

const NOON = Date.UTC(2026, 5, 15, 12)
const MINUTE = 60_000

const minute = (at: number, delivered: number, lagMs: number | null) => {
  return { at: NOON + at * MINUTE, read: delivered, detected: delivered, delivered, failed: 1, lagMs }
}
function hour(run: number, minutes: readonly ReturnType<typeof minute>[], lagMs: number | null): RunEvent {
  const stream = { since: NOON - 7_200_000, comparing: null, read: 9, unreadable: 2, lagRecords: 4 }
  return sampleEvent({ runId: `R${run}`, run, stream: { ...stream, lagMs, committedAt: NOON, minutes } })
}

it('shows a stream over its hourly runs: its lag now, and the last whole minute as its speed', () => {
  const earlier = hour(1, [minute(-90, 1, 5), minute(-3, 60, 5)], null)
  const now = hour(2, [minute(-2, 120, 250), minute(-1, 600, 1_500), minute(0, 5, 90)], 90)
  const view = streamView([now, earlier], NOON + 20_000)
  expect(view).toMatchObject({
    since: '2026-06-15T10:00:00.000Z',
    ...{ comparing: null, read: 9, unreadable: 2, lagRecords: 4, lagSeconds: 0.09, rowsPerSecond: 10 },
    committedAt: '2026-06-15T12:00:00.000Z',
  })
  expect(view?.minutes.map(({ delivered, lagSeconds }) => [delivered, lagSeconds])).toEqual([
    [60, 0.005],
    [120, 0.25],
    [600, 1.5],
    [5, 0.09],
  ])
})

it('has the speed of the minute that goes on if nothing was delivered in the one before', () => {
  expect(streamView([hour(1, [minute(0, 120, 5)], null)], NOON + 20_000)?.rowsPerSecond).toBe(2)
  const quiet = [minute(-2, 600, 5), minute(-1, 0, 5), minute(0, 120, 5)]
  expect(streamView([hour(1, quiet, null)], NOON + 20_000)?.rowsPerSecond).toBe(2)
})

it('has no speed once the stream stands still, and is none without a run of a stream', () => {
  expect(streamView([hour(1, [minute(-2, 60, 5)], null)], NOON)?.rowsPerSecond).toBe(0)
  expect(streamView([sampleEvent({ runId: 'R', run: 1 })], NOON)).toBeNull()
})
