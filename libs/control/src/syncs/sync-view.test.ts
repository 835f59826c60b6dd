import type { RunView } from '@sluice/contracts/api'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { expect, it } from 'vitest'
import { emptyPast } from '../history/empty-history.ts'
import { syncView } from './sync-view.ts'

const NOW = 3_600_000

const stream = {
  ...{ since: new Date(0).toISOString(), comparing: null, read: 0, unreadable: 0, lagRecords: null },
  ...{ lagSeconds: null, committedAt: null, rowsPerSecond: 0, minutes: [] },
}

it('takes a stream to be behind by its oldest change, unless rows failed or the table is compared', () => {
  const { sync } = sampleDefinition()
  const past = { ...emptyPast(null), behind: { since: 0, runs: 0 } }
  const since = (changes: Partial<typeof past> & { readonly stream: object | null }) =>
    syncView(sync, { ...past, ...changes }, { at: NOW, hasFigures: false }).behindSince
  expect(since({ stream: null })).toBe(new Date(0).toISOString())
  expect(since({ stream })).toBeNull()
  expect(since({ stream: { ...stream, lagSeconds: 2 } })).toBe(new Date(NOW - 2_000).toISOString())
  expect(since({ stream: { ...stream, comparing: 'first' } })).toBe(new Date(0).toISOString())
  expect(since({ stream, rows: { failed: 1, heldBack: 0 } })).toBe(new Date(0).toISOString())
})

it('says of no sync that it runs where no process works on runs', () => {
  const { sync } = sampleDefinition()
  const run: RunView = {
    ...{ id: 'R', sync: sync.name, status: 'running', cause: 'schedule', startedAt: null, endedAt: null },
    ...{ rowsRead: 0, rowsInvalid: 0, error: null, triggers: {} },
  }
  const past = { ...emptyPast(null), runs: [run] }
  const stateOf = (isAtWork: boolean): string =>
    syncView(sync, past, { at: NOW, hasFigures: false, isAtWork }).state
  expect(stateOf(true)).toBe('running')
  expect(stateOf(false)).toBe('idle')
})
