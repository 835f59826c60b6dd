import { describe, expect, it } from 'vitest'
import type { PartitionReport } from '@sluice/contracts/records'
import { sampleCounts, sampleDefinition, sampleEvent, sampleReport } from '@sluice/testkit/sample-records'
import { runView } from './run-views.ts'

const definition = sampleDefinition({
  sync: { triggers: { removed: { method: 'DELETE', path: '/' }, added: { method: 'POST', path: '/' } } },
})
const event = sampleEvent({ run: 7, startedAt: 0, counts: { added: sampleCounts({ detected: 5 }) } })
const NOBODY = new Map<number, PartitionReport>()

/** Reports of partitions, one after the other. */
const reports = (...fields: readonly Partial<PartitionReport>[]): ReadonlyMap<number, PartitionReport> =>
  new Map(fields.map((report, partition) => [partition, sampleReport({ run: 7, partition, ...report })]))

describe('the view of a run', () => {
  it('has the triggers of its sync alone, additions first, with zeros where nothing happened', () => {
    const { triggers } = runView(event, definition, NOBODY)
    expect(Object.entries(triggers)).toEqual([
      ['added', sampleCounts({ detected: 5 })],
      ['removed', sampleCounts()],
    ])
  })

  it('has the triggers that found something, as long as it is pinned to no definition', () => {
    expect(runView(event, null, NOBODY).triggers).toEqual({ added: sampleCounts({ detected: 5 }) })
    expect(runView(sampleEvent(), null, NOBODY).triggers).toEqual({})
  })

  it('shows how far its partitions have come while it is under way', () => {
    const progress = reports(
      { counts: { added: sampleCounts({ delivered: 1, requests: 1, attempts: 2 }) }, ended: false },
      { counts: { added: sampleCounts({ delivered: 2, requests: 1, attempts: 1 }) } },
      { counts: { added: sampleCounts({ delivered: 9 }) }, run: 6 },
    )
    expect(runView(event, definition, progress).triggers.added).toEqual(
      sampleCounts({ detected: 5, delivered: 3, requests: 2, attempts: 3 }),
    )
  })

  it('says what its partitions wait for while it is under way, each thing once', () => {
    const why = { kind: 'limit', since: 7_000, until: 9_000, detail: 'the rate limit is used up' } as const
    const waits = reports(
      { ended: false, waits: [why] },
      { ended: false, waits: [{ ...why, since: 6_000, until: 10_000 }] },
      { ended: false, waits: null },
      { ended: true, waits: [{ ...why, detail: 'it had waited' }] },
      { run: 6, ended: false, waits: [{ ...why, detail: 'an earlier run waited' }] },
    )
    expect(runView(event, definition, waits).waiting).toEqual([
      { ...why, since: '1970-01-01T00:00:06.000Z', until: '1970-01-01T00:00:10.000Z' },
    ])
    expect(runView(event, definition, NOBODY).waiting).toBeUndefined()
    expect(runView({ ...event, status: 'failed' }, definition, waits).waiting).toBeUndefined()
  })

  it('says, while it is queued, that requests of a process before may still arrive, and no other wait', () => {
    const late = { kind: 'takeover', since: 7_000, until: 9_000, detail: 'may still arrive' } as const
    const waits = reports(
      { ended: false, waits: [late] },
      { ended: false, waits: [{ ...late, kind: 'limit', detail: 'the rate limit is used up' }] },
      { ended: true, waits: [{ ...late, detail: 'it had waited' }] },
    )
    expect(runView(sampleEvent({ status: 'queued' }), null, waits).waiting).toEqual([
      { ...late, since: '1970-01-01T00:00:07.000Z', until: '1970-01-01T00:00:09.000Z' },
    ])
  })

  it('says where the mistake is that failed it, and nothing where nobody knows', () => {
    const failed = sampleEvent({ status: 'failed', error: 'no such column', errorCode: 'query' })
    const place = { file: null, field: 'sql', line: 3, column: null, message: 'no such column' }
    expect(runView({ ...failed, errorPlaces: [place] }, null, NOBODY).errorDetails).toEqual([
      { field: 'sql', line: 3, message: 'no such column' },
    ])
    expect(runView(failed, null, NOBODY).errorDetails).toBeUndefined()
  })

  it('adds what it waits for elsewhere', () => {
    const wait = { kind: 'detector', since: 1_000, until: null, detail: 'none is at work' } as const
    expect(runView(sampleEvent({ status: 'queued' }), null, NOBODY, { elsewhere: [wait] }).waiting).toEqual([
      { ...wait, since: '1970-01-01T00:00:01.000Z' },
    ])
  })

  it('counts nothing twice once it has ended', () => {
    const ended = sampleEvent({
      run: 7,
      status: 'success',
      counts: { added: sampleCounts({ detected: 2, delivered: 2 }) },
    })
    const last = reports({ counts: { added: sampleCounts({ delivered: 2 }) } })
    expect(runView(ended, definition, last).triggers.added).toMatchObject({ detected: 2, delivered: 2 })
  })

  it('gives times as ISO 8601 in UTC, and null for a time that has not come yet', () => {
    const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678)
    expect(runView(sampleEvent({ startedAt: at }), null, NOBODY)).toMatchObject({
      startedAt: '2026-01-02T03:04:05.678Z',
      endedAt: null,
    })
  })

  it('leaves out invalid rows and notices where there are none', () => {
    expect(Object.keys(runView(event, null, NOBODY))).not.toContain('notices')
    const sample = { key: null, reason: 'the key is null' }
    const view = runView(sampleEvent({ invalidSamples: [sample], notices: ['began again'] }), null, NOBODY)
    expect(view).toMatchObject({ invalidRows: [sample], notices: ['began again'] })
  })
})
