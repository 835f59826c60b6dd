import type { FailedRows, PartitionReport, RunEvent } from '@sluice/contracts/records'
import { sampleCounts, sampleEvent, sampleReport } from '@sluice/testkit/sample-records'
import { describe, expect, it } from 'vitest'
import { runView } from './run-views.ts'

const event = sampleEvent({
  ...{ run: 7, startedAt: 0, status: 'running' },
  counts: { added: sampleCounts({ detected: 1_000 }) },
})
const reports = (...fields: readonly Partial<PartitionReport>[]): ReadonlyMap<number, PartitionReport> =>
  new Map(
    fields.map((report, partition) => [
      partition,
      sampleReport({ run: 7, partition, ended: false, ...report }),
    ]),
  )
const refused: FailedRows = {
  ...{ outcome: 'unknown', status: null, error: 'connect ECONNREFUSED 127.0.0.1:80', key: '1' },
  ...{ since: 5_000, rows: 2, retried: 3 },
}
const unsent: FailedRows = {
  ...refused,
  outcome: 'unsent',
  error: 'breaker open',
  since: 9_000,
  rows: 90,
  retried: 0,
}

describe('a run under way', () => {
  it('has no percentage over a stream, which has no end', () => {
    const stream = { since: 0, comparing: null, read: 1_000, unreadable: 0, lagRecords: null }
    const told = { ...stream, lagMs: null, committedAt: null, minutes: [] }
    expect(runView(event, null, reports({})).progress).toBeDefined()
    expect(runView({ ...event, stream: told }, null, reports({})).progress).toBeUndefined()
  })

  it('says why rows fail, over all partitions, and the first cause apart', () => {
    const view = runView(
      event,
      null,
      reports({ failures: [refused] }, { failures: [unsent, { ...refused, since: 4_000, key: '2' }] }),
    )
    const cause = {
      ...{ outcome: 'unknown', status: null, error: refused.error, key: '2', count: 10, retried: 6 },
      since: '1970-01-01T00:00:04.000Z',
    }
    expect(view.errors).toEqual([expect.objectContaining({ outcome: 'unsent', count: 90 }), cause])
    expect(view.firstError).toEqual(cause)
  })

  it('says so without a time that is no date, as a foreign writer may report it', () => {
    const view = runView(event, null, reports({ failures: [{ ...refused, since: 1e300 }] }))
    expect(view.errors).toEqual([expect.objectContaining({ key: '1', count: 5 })])
    expect(view.firstError?.since).toBeUndefined()
  })

  it('has the speed of the last ten seconds, and the time that is left', () => {
    const lately = { at: Date.now(), forMs: 10_000, delivered: 400, failed: 100 }
    const counts = { added: sampleCounts({ delivered: 400, rejected: 100 }) }
    const view = runView(
      event,
      null,
      reports({ lately, counts }, { lately }, { lately: { ...lately, at: 0 } }),
    )
    expect(view.throughput).toEqual({ deliveredPerSecond: 80, failedPerSecond: 20 })
    expect(view.progress).toEqual({ finished: 500, of: 1_000, percent: 50, remainingSeconds: 5 })
  })

  it('does not know the time that is left before anything is finished', () => {
    expect(runView(event, null, reports()).progress).toEqual({
      ...{ finished: 0, of: 1_000, percent: 0, remainingSeconds: null },
    })
  })
})

describe('a run that delivers nothing', () => {
  const none = { added: sampleCounts({ detected: 2, rejected: 1, unknown: 1, attempts: 2 }) }

  it('is failing, whatever its status', () => {
    expect(runView({ ...event, status: 'warning', counts: none }, null, reports()).failing).toBe(true)
    expect(runView(event, null, reports({ counts: { added: sampleCounts({ rejected: 1 }) } })).failing).toBe(
      true,
    )
    const some = { added: { ...none.added, detected: 3, delivered: 1 } }
    expect(runView({ ...event, status: 'warning', counts: some }, null, reports()).failing).toBeUndefined()
  })

  it('is not failing if it sent only rows again that were rejected while others arrived', () => {
    const rejected = {
      status: 'warning',
      counts: { added: sampleCounts({ detected: 3, rejected: 3 }) },
    } as const
    const first = { ...event, ...rejected, run: 5 }
    const some = { ...first, counts: { added: sampleCounts({ detected: 9, delivered: 6, rejected: 3 }) } }
    const failures = (status: number) => reports({ failures: [{ ...refused, outcome: 'rejected', status }] })
    const isFailing = (events: readonly RunEvent[], status = 422) =>
      runView({ ...event, ...rejected }, null, failures(status), { events }).failing === true
    expect(isFailing([some, { ...some, ...rejected, run: 6 }])).toBe(false)
    expect(isFailing([first, { ...first, run: 6 }])).toBe(true)
    expect(isFailing([some], 401)).toBe(true)
    expect(isFailing([{ ...some, counts: { added: sampleCounts({ delivered: 6, rejected: 2 }) } }])).toBe(
      true,
    )
  })

  it('is failing if rows fail for the first time, although no more fail than before', () => {
    const [some, now] = [
      { detected: 9, delivered: 6, rejected: 3 },
      { detected: 3, rejected: 3 },
    ].map(figures => ({
      ...event,
      ...{ status: 'warning' as const, counts: { added: sampleCounts(figures) } },
    }))
    const isFailing = (again: number) => {
      const failures = [{ ...refused, outcome: 'rejected' as const, status: 422, rows: 3, retried: 0, again }]
      return runView({ ...event, ...now }, null, reports({ failures }), {
        events: [{ ...event, ...some, run: 6 }],
      }).failing
    }
    expect([isFailing(0), isFailing(3)]).toEqual([true, undefined])
  })

  it('keeps its reasons once a later run has reported', () => {
    const failures = [{ ...refused, outcome: 'rejected' as const, status: 422, rows: 3, retried: 0 }]
    const ended = { ...event, status: 'warning' as const, run: 6, failures }
    expect(runView(ended, null, reports({ failures: [unsent] }))).toMatchObject({
      firstError: { status: 422, count: 3 },
      errors: [{ status: 422, count: 3 }],
    })
  })

  it('names the phase in which it failed', () => {
    const phases = {
      publishingFrom: 1,
      publishedAt: 2,
      renderingFrom: 1,
      renderedAt: 3,
      sendingFrom: 2,
      sentAt: 4,
    }
    const ended = { ...event, phases, endedAt: 5 }
    const failedIn = (fields: Partial<RunEvent>) =>
      runView({ ...ended, ...fields }, null, new Map()).phases?.flatMap(({ phase, failed }) =>
        failed ? [phase] : [],
      )
    expect(failedIn({ status: 'warning', counts: none })).toEqual(['sending'])
    expect(failedIn({ status: 'failed', phases: null })).toEqual(['detecting'])
    expect(failedIn({ status: 'failed', phases: { ...phases, renderedAt: null, sentAt: null } })).toEqual([
      'rendering',
    ])
    expect(failedIn({ status: 'success', counts: {} })).toEqual([])
  })
})

it('a held run compares no longer, and waits since it is held', () => {
  const heldAt = 2_000
  const held = { ...event, status: 'held' as const, held: { removed: 9, rows: 9, samples: [] } }
  const none = { publishingFrom: null, publishedAt: null, renderingFrom: null, renderedAt: null }
  const view = runView(
    { ...held, phases: { ...none, sendingFrom: null, sentAt: null, heldAt } },
    null,
    new Map(),
  )
  const at = '1970-01-01T00:00:02.000Z'
  expect(view.phases).toEqual([{ phase: 'detecting', startedAt: '1970-01-01T00:00:00.000Z', endedAt: at }])
  expect(view.waiting).toMatchObject([{ kind: 'approval', since: at }])
})
