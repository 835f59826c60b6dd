import type { RunView, SyncView } from '@sluice/contracts/api'
import { expect, it } from 'vitest'
import { syncsText } from './syncs.ts'

const AT = '2026-01-01T00:00:00.000Z'
const run: RunView = {
  ...{ id: 'R2', sync: 'people', status: 'running', cause: 'manual', startedAt: AT, endedAt: null },
  ...{ rowsRead: 0, rowsInvalid: 0, error: null, triggers: {} },
}
const sync = (trouble: SyncView['trouble']): SyncView => ({
  ...{ name: 'people', model: 'm', destination: 'd', paused: false, schedule: 'manual', state: 'running' },
  ...{ lastRun: run, nextRunAt: null, rows: { failed: 0, heldBack: 0 }, certificates: [], behindSince: AT },
  waiting: [{ kind: 'delivery', since: AT, until: null, detail: 'no delivery is at work: start one' }],
  ...(trouble === undefined ? {} : { trouble }),
})
const textOf = (trouble: SyncView['trouble'], more: Partial<SyncView> = {}): string =>
  syncsText(
    { syncs: [{ ...sync(trouble), ...more }], next: null },
    {
      ...{ columns: 200, called: { command: 'sluice', dir: null }, color: false, label: undefined },
      now: Date.parse(AT),
    },
  )

it('the trouble of a run tells of its waits, and not of those of a later run', () => {
  const trouble = { text: 'Nothing arrives.', isFailing: true, fix: null, since: AT, runs: 1 }
  const wait = 'no delivery is at work: start one'
  expect(textOf(undefined)).toContain(wait)
  expect(textOf({ ...trouble, run: 'R2' })).not.toContain(wait)
  const both = textOf({ ...trouble, run: 'R1' })
  expect(both).toContain('Nothing arrives.')
  expect(both).toContain(wait)
})

it('names the command that says what to do about a held run', () => {
  const trouble = { text: 'A run waits for approval.', isFailing: false, fix: null, since: null, runs: 1 }
  const text = textOf({ ...trouble, run: 'R2' }, { state: 'held' })
  expect(text).toContain('`sluice runs show R2` says what you can do')
})

it('calls a run interrupted that no process works on, and says which command goes on with a stream', () => {
  const stream = {
    ...{ since: AT, comparing: null, read: 1, unreadable: 0, lagRecords: null, lagSeconds: null },
    ...{ committedAt: null, rowsPerSecond: 0, minutes: [] },
  }
  const streamed: Partial<SyncView> = {
    ...{ schedule: 'continuous', stream, lastRun: { ...run, stream }, waiting: [] },
  }
  expect(textOf(undefined, streamed)).toMatch(/running +streaming[^]*has streamed for/)
  const text = textOf(undefined, { ...streamed, state: 'idle' })
  expect(text).toMatch(/idle +interrupted[^]*No process runs these schedules now: `sluice up` does/)
  expect(text).not.toContain('streamed')
})

it('says from now when Sluice tries again, and leaves times in the words of an API as they are', () => {
  const trouble = { isFailing: true, fix: null, since: AT, runs: 1, run: 'R2' }
  const text = '`crm` answers HTTP 429. Sluice tries again at 2026-01-01T00:14:30.000Z.'
  expect(textOf({ ...trouble, text })).toContain('HTTP 429. Sluice tries again in 15 min. For 0 s')
  const stopped = 'Sluice stopped sending at 2025-12-31T22:00:00Z.'
  expect(textOf({ ...trouble, text: stopped })).toContain('Sluice stopped sending 2 h ago. For 0 s')
  const quoted = '3 rows are rejected: HTTP 422: ended at 2026-01-01T00:14:30Z.'
  expect(textOf({ ...trouble, text: quoted, quotesAnswer: true })).toContain(quoted)
})

it('tells of the rows of a stream that failed, once it has read all of its source', () => {
  const told = { comparing: null, read: 9, unreadable: 0, lagRecords: 0, committedAt: null, minutes: [] }
  const stream = { since: AT, ...told, lagSeconds: null, rowsPerSecond: 0 }
  expect(textOf(undefined, { stream })).toContain('0 rows/min, nothing waits')
  const rows = { failed: 2, heldBack: 0 }
  expect(textOf(undefined, { stream, rows })).toContain('0 rows/min, 2 rows failed')
  expect(textOf(undefined, { stream: { ...stream, lagSeconds: 3 }, rows })).toContain('3.0 s behind')
})
