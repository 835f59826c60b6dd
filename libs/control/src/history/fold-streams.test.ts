import type { RunEvent } from '@sluice/contracts/records'
import type { SyncRuns } from '@sluice/runs/runs-view'
import { sampleCounts, sampleEvent, sampleReport } from '@sluice/testkit/sample-records'
import { describe, expect, it } from 'vitest'
import { foldedView, foldStreams, type ListedRun } from './fold-streams.ts'
import { runView } from './run-views.ts'

const NOON = Date.UTC(2026, 5, 15, 12)
const HOUR = 3_600_000
const MORNING = NOON - 3 * HOUR

const progress = (since: number, read: number, delivered: number): NonNullable<RunEvent['stream']> => {
  const minute = { at: NOON - 60_000, read, detected: read, delivered, failed: 0, lagMs: 12 }
  const told = { comparing: null, read, unreadable: 1, lagRecords: 4, lagMs: 12, committedAt: NOON }
  return { since, ...told, minutes: [minute] }
}

/** A run of the hour of that number after the morning; that of the third hour is at work. */
function listed(hour: number, fields: Partial<RunEvent> = {}): ListedRun {
  const startedAt = MORNING + hour * HOUR
  const ended =
    hour === 3 ? { status: 'running', endedAt: null } : { status: 'success', endedAt: startedAt + HOUR }
  const event = sampleEvent({
    ...{ runId: `R${hour}`, run: hour, startedAt, queuedAt: startedAt, rowsRead: 10, rowsInvalid: 1 },
    counts: { added: sampleCounts({ detected: 5, delivered: hour === 3 ? 0 : 5 }) },
    stream: progress(MORNING, 10, 5),
    ...(ended as Partial<RunEvent>),
    ...fields,
  })
  const reports = new Map([
    [0, sampleReport({ run: 3, ended: false, counts: { added: sampleCounts({ delivered: 2 }) } })],
  ])
  return { event, runs: { reports } as unknown as SyncRuns }
}
const idsOf = (runs: readonly ListedRun[]): readonly (readonly string[])[] =>
  foldStreams(runs).map(entry => entry.map(({ event }) => event.runId))

describe('a list of runs', () => {
  it('has one entry for the runs of a stream since it began, at the place of the newest', () => {
    const other = listed(1, { runId: 'T', sync: 'of-a-table', stream: null })
    expect(idsOf([listed(3), other, listed(2), listed(1)])).toEqual([['R3', 'R2', 'R1'], ['T']])
  })

  it('has an entry for each stretch without a pause, and for each sync', () => {
    const before = listed(0, { stream: progress(MORNING - HOUR, 1, 1) })
    const another = listed(2, { runId: 'S2', sync: 'another' })
    expect(idsOf([listed(2), another, listed(1), before])).toEqual([['R2', 'R1'], ['S2'], ['R0']])
  })

  it('counts a run at work that has not told of its stream to the run before, unless there was a pause', () => {
    const begun = listed(3, { stream: null })
    expect(idsOf([begun, listed(2)])).toEqual([['R3', 'R2']])
    expect(idsOf([begun, listed(1)])).toEqual([['R3'], ['R1']])
    expect(idsOf([listed(3, { stream: null, status: 'failed' }), listed(2)])).toEqual([['R3'], ['R2']])
  })
})

describe('starts of a stream that failed', () => {
  const fired = { at: MORNING, by: '"continuous"', next: null }
  const failed = (hour: number, fields: Partial<RunEvent> = {}): ListedRun =>
    listed(hour, {
      ...{ cause: 'schedule', status: 'failed', stream: null, endedAt: MORNING + hour * HOUR + 5, fired },
      ...{ error: 'no right to follow', counts: {}, ...fields },
    })

  it('are one entry as long as they fail for one reason', () => {
    const other = failed(1, { error: 'no such table' })
    expect(idsOf([failed(3), failed(2), other, failed(0)])).toEqual([['R3', 'R2'], ['R1'], ['R0']])
  })

  it('are one entry also while other syncs run, and none with a run that streamed', () => {
    const table = listed(2, { runId: 'T', sync: 'of-a-table', stream: null })
    expect(idsOf([failed(3), table, failed(2), listed(1), failed(0)])).toEqual([
      ['R3', 'R2'],
      ['T'],
      ['R1'],
      ['R0'],
    ])
  })

  it('are not those of a table, of which each run stands for itself', () => {
    const hourly = { ...fired, by: '{"every":"1h"}' }
    expect(idsOf([failed(3, { fired: hourly }), failed(2, { fired: hourly })])).toEqual([['R3'], ['R2']])
  })

  it('start with the first of them, and say how many there are', () => {
    const runs = [failed(3), failed(2), failed(1)]
    const newest = runView(runs[0]?.event ?? sampleEvent(), null, new Map())
    expect(foldedView(newest, runs, NOON)).toMatchObject({
      ...{ id: 'R3', failedStarts: 3, startedAt: new Date(MORNING + HOUR).toISOString() },
      error: 'no right to follow',
    })
  })
})

it('the entry of a stream starts when the stream began, and has the counts of all of its runs', () => {
  const runs = [listed(3), listed(2)]
  const newest = runView(runs[0]?.event ?? sampleEvent(), null, runs[0]?.runs.reports ?? new Map())
  const view = foldedView(newest, runs, NOON + 1_000)
  expect(view).toMatchObject({
    ...{ id: 'R3', status: 'running', startedAt: '2026-06-15T09:00:00.000Z', endedAt: null },
    ...{ rowsRead: 20, rowsInvalid: 2 },
    triggers: { added: { detected: 10, delivered: 7 } },
    stream: { runs: 2, read: 20, unreadable: 2, lagRecords: 4, lagSeconds: 0.012 },
  })
  expect(view.stream?.minutes).toMatchObject([{ read: 20, delivered: 10 }])
})

it('a run over a table stays as it is', () => {
  const run = listed(2, { stream: null })
  const view = runView(run.event, null, run.runs.reports)
  expect(foldedView(view, [run], NOON)).toBe(view)
})
