import { describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { FailedRows, PartitionReport } from '@sluice/contracts/records'
import { sampleCounts, sampleReport } from '@sluice/testkit/sample-records'
import {
  replacementOf,
  approvalLeft,
  approvedRun,
  askedBy,
  cancelledRun,
  endedRun,
  failedRun,
  INTERRUPTED,
  isReplacementOf,
  hasSeenModel,
  purposeOf,
  queuedRun,
  supersededRun,
  withApprovalOf,
  type RunState,
} from './run-events.ts'

const queued = queuedRun({ runId: 'RUN1', cause: 'manual', scope: null, command: 4, partitions: 2, at: 10 })
const running: RunState = { ...queued, status: 'running', run: 7, complete: true, startedAt: 11 }

/** A run of two partitions that found so many added rows, and what they came to. */
function end(
  run: Partial<RunState>,
  reports: readonly Partial<PartitionReport>[],
  endsEarly = false,
): RunState {
  const made = reports.map((report, partition) => sampleReport({ run: 7, partition, ...report }))
  return endedRun({ ...running, ...run }, made, { endsEarly, at: 20 })
}

const added = (figures: Parameters<typeof sampleCounts>[0]) => ({ added: sampleCounts(figures) })

describe('a run that ends', () => {
  it('is a success, with the sums of its partitions, where every row was delivered', () => {
    const ended = end({ counts: added({ detected: 5 }) }, [
      { counts: added({ delivered: 3, requests: 3, attempts: 4 }) },
      { counts: added({ delivered: 2, requests: 1, attempts: 1 }) },
    ])
    expect(ended).toMatchObject({ status: 'success', error: null, errorCode: null, endedAt: 20 })
    expect(ended.counts).toEqual(added({ detected: 5, delivered: 5, requests: 4, attempts: 5 }))
  })

  it('is a warning where a row was not delivered, or not taken', () => {
    const counts = added({ detected: 2 })
    const one = (figures: object) => end({ counts }, [{ counts: added({ delivered: 1, ...figures }) }]).status
    expect([one({ rejected: 1 }), one({ unknown: 1 }), one({ unsent: 1 })]).toEqual(
      Array.from({ length: 3 }, () => 'warning'),
    )
    expect(end({ rowsInvalid: 1 }, []).status).toBe('warning')
  })

  it('keeps why its rows failed: the first cause, and the most frequent reasons beside it', () => {
    const failure = (status: number, since: number, rows: number): FailedRows => ({
      ...{ outcome: 'rejected', status, error: `no ${status}`, key: '1', since, rows, retried: 2, again: 0 },
    })
    const many = Array.from({ length: 8 }, (_, n) => failure(410 + n, 20, n + 1))
    const ended = end({}, [{ failures: [failure(422, 9, 1), ...many] }, { failures: [failure(422, 7, 1)] }])
    expect(ended.failures).toMatchObject([
      { status: 422, since: 7, rows: 2, retried: 0 },
      ...[417, 416, 415, 414].map(status => ({ status })),
    ])
    expect(end({}, [{ failures: [] }]).failures).toBeNull()
  })

  it('says once which certificates end soon, also where it ends twice', () => {
    const certificate = { side: 'server', subject: 'CN=api', expiresAt: 86_400_000 } as const
    const ended = end({ notices: ['a column is new'] }, [
      { certificates: [certificate] },
      { certificates: null },
    ])
    expect(ended.certificates).toEqual([certificate])
    const notices = ['a column is new', expect.stringMatching(/server ends at 1970-01-02T00:00Z \(CN=api\)/)]
    expect(ended.notices).toEqual(notices)
    expect(end(ended, [{ certificates: [certificate] }]).notices).toEqual(notices)
    expect(end({}, [{}])).toMatchObject({ certificates: null, notices: [] })
  })

  it('adds up per op, and keeps ops that found nothing out', () => {
    const counts = { ...added({ detected: 1 }), removed: sampleCounts({ detected: 2 }) }
    const ended = end({ counts }, [
      { counts: { removed: sampleCounts({ delivered: 2 }) } },
      { counts: added({ delivered: 1 }) },
    ])
    expect(ended.counts).toEqual({
      ...added({ detected: 1, delivered: 1 }),
      removed: sampleCounts({ detected: 2, delivered: 2 }),
    })
  })

  it('has failed where rows are not accounted for, or more are than there were', () => {
    const found = end({ counts: added({ detected: 3 }) }, [{ counts: added({ delivered: 2 }) }])
    expect(found).toMatchObject({ status: 'failed', errorCode: 'internal' })
    expect(found.error).toBe('3 rows were added, and 2 of them are accounted for')
    expect(end({}, [{ counts: added({ delivered: 1 }) }]).status).toBe('failed')
  })

  it('says where each partition ends, for trimming', () => {
    const { ends } = end({}, [
      { requestsEnd: 5, attemptsEnd: 6 },
      { requestsEnd: 7, attemptsEnd: 8 },
    ])
    expect(ends).toEqual([
      { partition: 0, requests: 5, attempts: 6 },
      { partition: 1, requests: 7, attempts: 8 },
    ])
  })
})

describe('a run that was interrupted while it was published', () => {
  it('has failed, and has found what it published, whatever it set out to', () => {
    const ended = end(
      { counts: added({ detected: 100 }) },
      [{ counts: added({ delivered: 3, unsent: 1 }) }],
      true,
    )
    expect(ended).toMatchObject({ status: 'failed', error: INTERRUPTED, errorCode: 'internal' })
    expect(ended.counts).toEqual(added({ detected: 4, delivered: 3, unsent: 1 }))
  })

  it('has failed for the reason it had already', () => {
    const ended = end({ error: 'no such table', errorCode: 'config' }, [{}], true)
    expect(ended).toMatchObject({ status: 'failed', error: 'no such table', errorCode: 'config' })
  })

  it('is cancelled, and no failure, where somebody asked for that', () => {
    const cancelling = { cancelling: true, counts: added({ detected: 100 }) }
    const ended = end(cancelling, [{ counts: added({ delivered: 1, unsent: 3 }) }], true)
    expect(ended).toMatchObject({ status: 'cancelled', error: null, errorCode: null })
    expect(ended.counts).toEqual(added({ detected: 4, delivered: 1, unsent: 3 }))
  })
})

describe('a run that lost track of records', () => {
  const faulted = { faultedFrom: 3, error: 'requests lack seq 3' }
  const earlier = { partition: 0, run: 6, from: 9 }

  it('has failed, even where it was cancelled, and names the partition', () => {
    const ended = end({ cancelling: true }, [{}, faulted])
    expect(ended).toMatchObject({ status: 'failed', error: 'requests lack seq 3' })
  })

  it('tells the next run from where on nobody knows', () => {
    expect(end({}, [{}, faulted]).faults).toEqual([{ partition: 1, run: 7, from: 3 }])
  })

  it('knows nothing of what it has no outcome for, so that counts add up, and keeps the reason', () => {
    const stopped = { ...faulted, errorCode: 'unreachable', requestsEnd: 0 }
    const ended = end({ counts: added({ detected: 5 }) }, [
      { counts: added({ delivered: 2 }) },
      { ...stopped, counts: added({ unsent: 1 }) },
    ])
    expect(ended).toMatchObject({ status: 'failed', errorCode: 'unreachable' })
    expect(ended.counts).toEqual(added({ detected: 5, delivered: 2, unsent: 1, unknown: 2 }))
  })

  it('ends where the run before did in a partition whose end it has not reached', () => {
    const reports = [{ requestsEnd: 9, attemptsEnd: 9 }, faulted].map((report, partition) =>
      sampleReport({ run: 7, partition, ...report }),
    )
    const before = [0, 1, 2].map(partition => ({ partition, requests: 5, attempts: 6 }))
    expect(endedRun(running, reports, { endsEarly: false, at: 20, endsBefore: before }).ends).toEqual([
      { partition: 0, requests: 9, attempts: 9 },
      { partition: 1, requests: 5, attempts: 6 },
    ])
    expect(endedRun(running, reports, { endsEarly: false, at: 20 }).ends).toHaveLength(1)
  })

  it('hands on what earlier runs lost until a run is complete that took it into account', () => {
    expect(end({ complete: false, faults: [earlier] }, [{}, faulted]).faults).toEqual([
      earlier,
      { partition: 1, run: 7, from: 3 },
    ])
    expect(end({ complete: true, faults: [earlier] }, [{}]).faults).toEqual([])
    // A row that is invalid was passed over, and one that discards has looked at no other rows.
    expect(end({ complete: true, rowsInvalid: 1, faults: [earlier] }, [{}]).faults).toEqual([earlier])
    expect(end({ complete: true, undecided: 1, faults: [earlier] }, [{}]).faults).toEqual([earlier])
    for (const cause of ['discard', 'replay'] as const)
      expect(end({ complete: true, cause, faults: [earlier] }, [{}]).faults).toEqual([earlier])
  })
})

describe('a run that fails before it has published anything', () => {
  it('says why, with the code where there is one', () => {
    expect(failedRun(running, new SluiceError('config', 'no such column'), 20)).toEqual({
      ...running,
      status: 'failed',
      error: 'no such column',
      errorCode: 'config',
      endedAt: 20,
    })
    expect(failedRun(running, new TypeError('a bug'), 20)).toMatchObject({
      error: 'a bug',
      errorCode: 'internal',
    })
    expect(failedRun(running, 'thrown text', 20)).toMatchObject({ error: 'thrown text' })
  })
})

describe('a run that ends before it has published anything', () => {
  const found: RunState = { ...running, counts: added({ detected: 3 }) }

  it('has not sent what it found, however it ends', () => {
    const ends = [
      failedRun(found, new Error('no disk'), 20),
      cancelledRun(found, 20),
      supersededRun(found, { runId: 'RUN2', doesAsMuch: true }, 20),
    ]
    for (const { counts } of ends) expect(counts).toEqual(added({ detected: 3, unsent: 3 }))
  })
})

describe('a run that somebody approved', () => {
  const held: RunState = { ...running, status: 'held', held: { removed: 30, rows: 40, samples: [] } }
  const approved = approvedRun(held, 5)

  it('begins again, and may remove as much as it was held for', () => {
    expect(approved).toMatchObject({ runId: 'RUN1', status: 'queued', run: null, approved: 30, held: null })
  })

  it('says what asked for it, as does the run that takes its place: a replay goes on by that', () => {
    const first = { ...running, cause: 'replay' } as const
    expect(askedBy(first)).toBe(4)
    const held: RunState = { ...replacementOf(first, { runId: 'RUN2', at: 30 }), status: 'held', run: 8 }
    const again = approvedRun(held, 6)
    expect([again.command, askedBy(again)]).toEqual([6, 4])
    const interrupted: RunState = { ...again, status: 'running', run: 8 }
    expect(askedBy(replacementOf(interrupted, { runId: 'RUN3', at: 40 }))).toBe(4)
    expect(askedBy(approvedRun({ ...interrupted, status: 'held' }, 7))).toBe(4)
  })

  it('hands its approval on to its replacement, if it is interrupted', () => {
    const interrupted: RunState = { ...approved, status: 'running', run: 8 }
    expect(replacementOf(interrupted, { runId: 'RUN2', at: 30 })).toEqual({
      ...queued,
      runId: 'RUN2',
      command: 5,
      asked: 4,
      queuedAt: 30,
      approved: 30,
    })
    expect(withApprovalOf(queued, interrupted).approved).toBe(30)
    expect(withApprovalOf({ ...queued, approved: 40 }, interrupted).approved).toBe(40)
    expect(withApprovalOf(queued, running)).toBe(queued)
  })

  it('takes the rows that it removed before it was interrupted off its approval', () => {
    const removed = (delivered: number) => ({ counts: { removed: sampleCounts({ delivered, unknown: 9 }) } })
    expect(approvalLeft(approved, [])).toBe(30)
    expect(approvalLeft(approved, [removed(10), { counts: added({ delivered: 8 }) }, removed(5)])).toBe(15)
    expect(approvalLeft(approved, [removed(20), removed(10)])).toBeNull()
    expect(approvalLeft(approved, [removed(31)])).toBeNull()
    expect(approvalLeft(running, [])).toBeNull()
  })
})

describe('a run in the place of an interrupted one', () => {
  it('does what that one was to do', () => {
    const scope = { as: 'changed', key: null, status: null } as const
    const replacement = replacementOf({ ...running, cause: 'resync', scope }, { runId: 'RUN2', at: 30 })
    expect(replacement).toMatchObject({ cause: 'resync', scope, status: 'queued', run: null, approved: null })
    expect(purposeOf(replacement)).toEqual({ kind: 'resync', as: 'changed' })
  })

  it('that tried some rows again tries these, and has not seen the whole model', () => {
    const scope = { as: null, key: '5', status: null } as const
    const interrupted = { ...running, cause: 'retry', complete: true } as const
    expect(purposeOf(replacementOf({ ...interrupted, scope }, { runId: 'RUN2', at: 30 }))).toEqual({
      kind: 'retry',
      key: '5',
      status: null,
    })
    expect(hasSeenModel({ ...interrupted, scope })).toBe(false)
    expect(purposeOf({ ...interrupted, scope: null })).toBeUndefined()
    expect(hasSeenModel({ ...interrupted, scope: null })).toBe(true)
  })

  it('that tried a group of rows again tries these, and none if it cannot read which', () => {
    const retry = { ...running, cause: 'retry' } as const
    const scope = { as: null, key: null, status: 0 } as const
    const group = { reason: '3f2a91c07b1e', lastSince: 4_000, toRun: 3 }
    expect(purposeOf({ ...retry, scope: { ...scope, group: '3f2a91c07b1e.4000-3' } })).toEqual({
      ...{ kind: 'retry', key: null, status: null, group },
    })
    const ofList = { ...scope, key: '5', group: '422.4000-3' }
    expect(purposeOf({ ...retry, scope: ofList })).toMatchObject({
      ...{ key: '5', status: 422, group: { reason: null, lastSince: 4_000 } },
    })
    expect(purposeOf({ ...retry, scope: { ...scope, group: 'of a later version' } })).toEqual({
      ...{ kind: 'retry', key: null, status: 0 },
    })
  })

  it('is known by the command of that one, if there was any', () => {
    expect(isReplacementOf(replacementOf(running, { runId: 'RUN2', at: 30 }), running)).toBe(true)
    expect(isReplacementOf(running, running)).toBe(false)
    expect(isReplacementOf({ ...running, runId: 'RUN2', command: 5 }, running)).toBe(false)
    const none = { ...running, command: -1 }
    expect(isReplacementOf({ ...none, runId: 'RUN2' }, none)).toBe(false)
    const fired = { at: 5, by: '', next: null }
    const due = { ...none, cause: 'schedule', fired } as const
    expect(isReplacementOf({ ...due, runId: 'RUN2' }, due)).toBe(true)
    expect(isReplacementOf({ ...due, runId: 'RUN2', fired: { ...fired, at: 6 } }, due)).toBe(false)
  })
})

describe('a run that is queued', () => {
  it('has no number, definition or times but that of its command, and nothing counted', () => {
    expect(queued).toMatchObject({
      status: 'queued',
      run: null,
      definition: null,
      startedAt: null,
      endedAt: null,
    })
    expect(queued).toMatchObject({ runId: 'RUN1', command: 4, queuedAt: 10, counts: {}, complete: false })
  })
})
