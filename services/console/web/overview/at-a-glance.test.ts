import type { RunView } from '@sluice/contracts/api'
import { describe, expect, it } from 'vitest'
import { glanceOf, movingOf, nextOf, type SyncView } from './at-a-glance.ts'
import { needsIn } from './needs.ts'

const AT = '2026-01-01T00:00:00.000Z'
const counts = (fields: object) => ({
  ...{ detected: 0, delivered: 0, rejected: 0, unknown: 0, unsent: 0, requests: 0, attempts: 0 },
  ...fields,
})
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
      sync('down', { lastRun: run({ status: 'warning', failing: true }), behindSince: AT }),
      sync('some', { lastRun: run({ status: 'warning' }), behindSince: '2025-12-31T00:00:00.000Z' }),
      sync('broken', { lastRun: run({ status: 'failed' }) }),
    ]
    expect(glanceOf(syncs)).toMatchObject({
      failing: ['down', 'broken'],
      behind: { sync: 'some', since: Date.parse('2025-12-31T00:00:00.000Z') },
    })
  })

  it('tell what moves now, and what comes next', () => {
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

const needIn = (of: SyncView): string | null => needsIn([of])[0]?.need ?? null

describe('a sync needs attention', () => {
  const left = { added: counts({ detected: 9, delivered: 2, unsent: 7 }) }
  const firstError = { outcome: 'unknown', status: null, error: 'ECONNREFUSED', key: '1', count: 9 } as const
  it.each<readonly [what: string, of: Partial<SyncView>, words: string]>([
    [
      'whose run was cancelled with rows left',
      { lastRun: run({ status: 'cancelled', triggers: left }) },
      '7 rows were not delivered',
    ],
    [
      'whose run was refused',
      { refused: { at: AT, by: 'ann', error: 'no secret' } },
      'A run of ann was refused: no secret',
    ],
    [
      'of which nothing arrives',
      {
        lastRun: run({
          status: 'running',
          failing: true,
          firstError,
          triggers: { added: counts({ unknown: 9 }) },
        }),
      },
      '9 rows failed so far. First cause: ECONNREFUSED',
    ],
    [
      'whose rows all failed',
      { lastRun: run({ status: 'warning', failing: true, triggers: left }) },
      'Nothing was delivered',
    ],
  ])('%s', (_, of, words) => {
    expect(needIn(sync('s', of))).toContain(words)
  })

  it('but not one that was cancelled without rows left, or that ran since it was refused', () => {
    expect(needIn(sync('s', { lastRun: run({ status: 'cancelled' }) }))).toBeNull()
    const refused = { at: '2025-12-31T00:00:00.000Z', by: null, error: 'no secret' }
    expect(needIn(sync('s', { refused, lastRun: run() }))).toBeNull()
  })
})

it('failing syncs come before those that need attention for another reason', () => {
  const failed = run({ status: 'failed', error: 'The source is gone.' })
  const all = [sync('a', { lastRun: run({ status: 'warning' }) }), sync('b', { lastRun: failed }), sync('c')]
  expect(needsIn(all).map(({ sync: { name }, isBad }) => [name, isBad])).toEqual([
    ['b', true],
    ['a', false],
  ])
})
