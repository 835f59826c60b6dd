import { describe, expect, it } from 'vitest'
import type { RunEvent } from '@sluice/contracts/records'
import { sampleEvent } from '@sluice/testkit/sample-records'
import { findRuns } from './find-runs.ts'
import type { PartitionTail, SyncLife } from './sync-life.ts'

const ENDED: PartitionTail = { run: 3, ended: true, sealed: false, count: 1 }

function found(events: readonly Partial<RunEvent>[], tails: readonly PartitionTail[] = [ENDED]): SyncLife {
  const all = events.map((event, index) => sampleEvent({ runId: `RUN${index}`, run: 3, ...event }))
  return findRuns({ events: new Map(all.map(event => [event.runId, event])) }, 's', tails)
}

describe('what the topics tell of the runs so far', () => {
  it('is nothing for a sync that never ran: its next run is the first', () => {
    const none = {
      lastRun: 0,
      first: true,
      faults: [],
      atWork: null,
      replacementCancelled: false,
      queued: [],
      awaiting: null,
      lastCommand: -1,
      deaths: 0,
      fired: null,
      deliveredTo: null,
    }
    expect(findRuns(undefined, 's', [{ ...ENDED, run: 0 }])).toEqual(none)
  })

  it('is that the next run is the first again where none went through the whole model', () => {
    const first = (event: Partial<RunEvent>): boolean =>
      found([{ status: 'success', first: true, complete: true, ...event }]).first
    expect(first({})).toBe(false)
    expect(first({ status: 'failed', complete: false })).toBe(true)
    expect(first({ status: 'cancelled', complete: false })).toBe(true)
    expect(first({ cause: 'discard' })).toBe(true)
    expect(first({ first: false, complete: false })).toBe(false)
  })

  it('is what the delivered state is of, by the latest change of it, whichever event tells', () => {
    const of = (name: string, change: number) => ({ url: `https://${name}.test`, accounts: {}, change })
    const events = [of('one', 1), of('three', 3), null, of('two', 2)]
    expect(found(events.map(deliveredTo => ({ status: 'success', deliveredTo }))).deliveredTo).toEqual(
      of('three', 3),
    )
    // An event of an earlier version has no such field.
    const { deliveredTo: _, ...earlier } = sampleEvent({ status: 'success' })
    expect(found([]).deliveredTo).toBeNull()
    expect(findRuns({ events: new Map([['RUN', { ...earlier } as RunEvent]]) }, 's', [ENDED])).toMatchObject({
      deliveredTo: null,
    })
  })

  it('is that nobody knows the outcome of the last run, if `runs` is lost', () => {
    const tails = [ENDED, { ...ENDED, run: 2 }, { ...ENDED, count: 0 }, ENDED]
    const lost = (partition: number) => ({ partition, run: 3, from: 0 })
    expect(found([], tails).faults).toEqual([lost(0), lost(3)])
    // Runs that never began, and earlier ones, say nothing of the last run.
    for (const event of [
      { status: 'queued', run: null },
      { status: 'failed', run: null },
      { status: 'success', run: 2 },
    ] as const)
      expect(found([event], tails).faults).toEqual([lost(0), lost(3)])
    expect(found([{ status: 'success' }], tails).faults).toEqual([])
  })

  it('is the number of the last run, be it told by events or by changes alone', () => {
    expect(found([{ status: 'success' }]).lastRun).toBe(3)
    expect(found([{ status: 'failed', run: 5 }]).lastRun).toBe(5)
  })

  it('is what is open: by its event, or by what lies in a partition', () => {
    expect(found([{ status: 'running' }]).atWork?.run.runId).toBe('RUN0')
    expect(found([{ status: 'failed' }], [ENDED, { ...ENDED, ended: false }]).atWork?.run.runId).toBe('RUN0')
    expect(found([{ status: 'failed' }]).atWork).toBeNull()
    expect(() => found([], [{ ...ENDED, ended: false }])).toThrow('run 3 of s is open')
  })

  it('is whether somebody cancelled what was begun again for the open run', () => {
    const open = { status: 'running', command: 4 } as const
    const isCancelled = (event: Partial<RunEvent>): boolean =>
      found([open, { run: null, command: 4, ...event }]).replacementCancelled
    const cancelled = { status: 'cancelled', cancelling: true } as const
    expect([isCancelled(cancelled), isCancelled({ status: 'queued' })]).toEqual([true, false])
    expect(isCancelled({ ...cancelled, command: 5 })).toBe(false)
    // It was refused, since the one in the place of the open run does as much: nobody cancelled that.
    expect(isCancelled({ ...cancelled, cancelling: false })).toBe(false)
    expect(
      found([
        { ...open, status: 'failed' },
        { ...cancelled, command: 4 },
      ]).replacementCancelled,
    ).toBe(false)
  })

  it('is that a run was taken out of the queue, where it is cancelled; others are queued', () => {
    const of = (...events: readonly Partial<RunEvent>[]) => {
      const { queued, atWork } = found(events.map(event => ({ status: 'queued', run: null, ...event })))
      return [atWork?.run.runId, queued.map(({ runId }) => runId)]
    }
    const [taken, behind] = [
      { runId: 'TAKEN', command: 4 },
      { runId: 'BEHIND', command: 5 },
    ] as const
    expect(of(taken)).toEqual([undefined, ['TAKEN']])
    expect(of({ ...taken, cancelling: true })).toEqual(['TAKEN', []])
    expect(of(taken, behind)).toEqual([undefined, ['TAKEN', 'BEHIND']])
    expect(of(behind, { ...taken, cancelling: true })).toEqual(['TAKEN', ['BEHIND']])
  })

  it('is what waits, how far the commands are taken, and what earlier runs lost', () => {
    const faults = [{ partition: 1, run: 2, from: 4 }]
    const { queued, awaiting, lastCommand, ...rest } = found([
      { status: 'success', command: 9, faults },
      { status: 'held', command: 12 },
      { status: 'queued', command: 11, run: null },
    ])
    expect([queued[0]?.runId, awaiting?.runId, lastCommand]).toEqual(['RUN2', 'RUN1', 12])
    expect(rest.faults).toEqual(faults)
  })
})
