import type { RunView } from '@sluice/contracts/api'
import { describe, expect, it } from 'vitest'
import { glanceOf, movingOf, nextOf, type SyncView } from './at-a-glance.ts'
import { needsIn, needsOf } from './needs.ts'

const AT = '2026-01-01T00:00:00.000Z'
const run = (changes: Partial<RunView> = {}): RunView => ({
  ...{ id: 'R', sync: 's', status: 'success', cause: 'manual', startedAt: AT, endedAt: AT },
  ...{ rowsRead: 0, rowsInvalid: 0, error: null, triggers: {} },
  ...changes,
})
const sync = (name: string, changes: Partial<SyncView> = {}): SyncView => ({
  ...{ name, model: 'm', destination: 'd', schedule: 'manual', paused: false, state: 'idle' },
  ...{ lastRun: null, nextRunAt: null, waiting: [], rows: { failed: 0, heldBack: 0 } },
  ...changes,
})

const trouble = { text: 'No.', isFailing: true, fix: null, run: 'R', since: AT, runs: 1 }

describe('the figures of all syncs', () => {
  it('add up what was delivered today, and say whether all is known', () => {
    const syncs = [
      sync('a', { delivered: { rows: 5, isWhole: true } }),
      sync('b', { delivered: { rows: 7, isWhole: false } }),
    ]
    expect(glanceOf(syncs)).toMatchObject({ deliveredToday: 12, isWhole: false })
    expect(glanceOf([sync('old server')])).toMatchObject({ deliveredToday: 0, isWhole: true })
  })

  it('name the failing syncs, and the one that is the furthest behind', () => {
    const syncs = [
      sync('well', { lastRun: run(), behindSince: null }),
      sync('down', { trouble, lastRun: run({ status: 'queued' }), behindSince: AT }),
      sync('some', { lastRun: run({ status: 'warning' }), behindSince: '2025-12-31T00:00:00.000Z' }),
      sync('broken', { trouble, lastRun: run({ status: 'failed' }) }),
    ]
    expect(glanceOf(syncs)).toMatchObject({
      failing: ['down', 'broken'],
      behind: { sync: 'some', since: Date.parse('2025-12-31T00:00:00.000Z') },
    })
  })

  it('tell what runs now, and what runs next', () => {
    const running = run({ status: 'running', throughput: { deliveredPerSecond: 80, failedPerSecond: 2 } })
    const syncs = [
      sync('queued', { lastRun: run({ status: 'queued' }), nextRunAt: '2026-01-01T02:00:00.000Z' }),
      sync('running', { lastRun: running, nextRunAt: '2026-01-01T01:00:00.000Z' }),
      sync('idle', { lastRun: run() }),
    ]
    expect(movingOf(syncs).map(({ name }) => name)).toEqual(['running', 'queued'])
    expect(nextOf(syncs, 1).map(({ name }) => name)).toEqual(['running'])
    expect(glanceOf(syncs)).toMatchObject({ deliveredPerSecond: 80, failedPerSecond: 2 })
  })
})

describe('what needs attention', () => {
  const lateMs = { p50: null, p90: null, p99: null }
  const destination = (name: string, state: 'failing' | 'degraded') => ({
    ...{ name, concurrency: { limit: 1, inUse: null } },
    health: { state, reason: 'Why.', until: null, fix: null, lastAttemptAt: null },
    hour: { attempts: 0, delivered: 0, throttled: 0, errors: [], latencyMs: lateMs },
  })
  const destinations = [
    destination('d', 'failing'),
    destination('e', 'degraded'),
    destination('f', 'failing'),
  ]

  it('are the syncs in trouble, and bad destinations of which no such sync tells', () => {
    const syncs = [sync('well'), sync('down', { trouble, lastRun: run({ status: 'queued' }) })]
    expect(needsOf(syncs, destinations).map(({ name }) => name)).toEqual(['down', 'f'])
    const some = [sync('some', { trouble: { ...trouble, isFailing: false } })]
    expect(needsOf(some, destinations).map(({ name }) => name)).toEqual(['some', 'f'])
  })
})

it('failing syncs come before those that need attention for another reason', () => {
  const all = [sync('a', { trouble: { ...trouble, isFailing: false } }), sync('b', { trouble }), sync('c')]
  expect(needsIn(all).map(({ name }) => name)).toEqual(['b', 'a'])
})
