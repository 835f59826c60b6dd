import { sampleEvent } from '@sluice/testkit/sample-records'
import type { RunEvent } from '@sluice/contracts/records'
import type { SyncRuns } from '@sluice/runs/runs-view'
import { describe, expect, it } from 'vitest'
import { DueStreams } from './fire-schedules.ts'

const NOON = Date.UTC(2026, 5, 15, 12)
const BY = '"continuous"'

function known(...events: readonly Partial<RunEvent>[]): SyncRuns {
  const all = events.map((event, at) =>
    sampleEvent({ runId: `R${at}`, run: at + 1, endedAt: null, ...event }),
  )
  const byId = new Map(all.map(event => [event.runId, event]))
  return { sync: 's', incarnation: 'i', marker: 0, reports: new Map(), events: byId }
}

const hour = {
  status: 'success',
  endedAt: NOON,
  fired: { at: NOON - 3_600_000, by: BY, next: null },
} as const
const next = { status: 'queued', fired: { at: NOON + 5, by: BY, next: null } } as const

describe('a stream', () => {
  it('is due before its first run, and once a run has ended', () => {
    expect(new DueStreams().report('s', { by: BY }, undefined, NOON)).toEqual({
      at: NOON,
      by: BY,
      next: null,
    })
    const streams = new DueStreams()
    expect(streams.report('s', { by: BY }, known({ ...hour, status: 'running' }), NOON)).toBeNull()
    expect(streams.nextOf(['s'])).toBe(Infinity)
    expect(streams.report('s', { by: BY }, known(hour), NOON + 5)?.at).toBe(NOON + 5)
  })

  it('is due once, until its run has ended, whatever comes between', () => {
    const streams = new DueStreams()
    const at = (now: number, ...events: readonly Partial<RunEvent>[]) =>
      streams.report('s', { by: BY }, known(...events), now)?.at ?? null
    expect(at(NOON + 5, hour)).toBe(NOON + 5)
    expect(at(NOON + 9, hour)).toBeNull()
    expect(at(NOON + 50, hour, next)).toBeNull()
    expect(at(NOON + 90, hour, { ...next, status: 'success', endedAt: NOON + 80 })).toBe(NOON + 90)
  })

  it('is due again after half a minute without an answer: its owner may have died', () => {
    const streams = new DueStreams()
    streams.report('s', { by: BY }, known(hour), NOON + 5)
    expect(streams.nextOf(['s'])).toBe(NOON + 5 + 30_000)
    expect(streams.report('s', { by: BY }, known(hour), NOON + 30_004)).toBeNull()
    expect(streams.report('s', { by: BY }, known(hour), NOON + 30_005)?.at).toBe(NOON + 30_005)
  })

  it('is due after a pause if its run has failed', () => {
    const streams = new DueStreams()
    const failed = known({ ...hour, status: 'failed' })
    expect(streams.report('s', { by: BY }, failed, NOON + 999)).toBeNull()
    expect(streams.nextOf(['s'])).toBe(NOON + 1_000)
    expect(streams.report('s', { by: BY }, failed, NOON + 1_000)?.at).toBe(NOON + 1_000)
  })

  it('is due by an instant that no run has answered, also after its clock was set back', () => {
    const ahead = { ...hour, fired: { at: NOON + 600_000, by: BY, next: null } }
    expect(new DueStreams().report('s', { by: BY }, known(ahead), NOON + 5)?.at).toBe(NOON + 600_001)
  })
})
