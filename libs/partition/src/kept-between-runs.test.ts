import { expect, it } from 'vitest'
import type { RunEvent } from '@sluice/contracts/records'
import { sampleEvent } from '@sluice/testkit/sample-records'
import { keptForMs } from './follow-open-runs.ts'

const fired = (at: number, next: number | null): RunEvent['fired'] => ({ at, by: '', next })
const last = sampleEvent({ runId: 'LAST', status: 'success', fired: fired(100_000, 160_000) })

function kept(now: number, ...events: readonly RunEvent[]): number {
  return keptForMs({ events: new Map(events.map(event => [event.runId, event])) }, now)
}

it('a sync that runs every minute is kept until the next run is late', () => {
  expect(kept(110_000, last)).toBe(55_000)
  expect(kept(164_999, last)).toBe(1)
  expect(kept(165_000, last)).toBe(0)
})

it('a sync that runs less often, or never again, or without a schedule, is not kept', () => {
  expect(kept(110_000, { ...last, fired: fired(100_000, 160_001) })).toBe(0)
  expect(kept(110_000, { ...last, fired: fired(100_000, null) })).toBe(0)
  expect(kept(110_000, { ...last, fired: null })).toBe(0)
  expect(kept(110_000)).toBe(0)
})

it('the last instant counts, and no clock that is wrong keeps a sync for longer than a minute', () => {
  const earlier = sampleEvent({ runId: 'A', status: 'success', fired: fired(40_000, 100_000) })
  expect(kept(110_000, last, earlier)).toBe(55_000)
  expect(kept(0, last)).toBe(65_000)
})

it('a sync that is being reset is let go, since its topics go', () => {
  const reset = sampleEvent({ runId: 'R', run: null, cause: 'reset', status: 'queued' })
  expect(kept(110_000, last, reset)).toBe(0)
  expect(kept(110_000, last, { ...reset, status: 'failed' })).toBe(55_000)
})
