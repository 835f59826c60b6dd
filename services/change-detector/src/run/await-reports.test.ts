import { describe, expect, it } from 'vitest'
import type { PartitionReport } from '@sluice/contracts/records'
import { IDLE } from '@sluice/testkit/sample-lives'
import { sampleCounts, sampleReport } from '@sluice/testkit/sample-records'
import { awaitReports } from './await-reports.ts'
import { OldRuns, type OwnedSync } from '../sync/owned-sync.ts'
import { interruptedRun } from '@sluice/runs/machine/find-runs'
import { queuedRun, type RunState } from '@sluice/runs/machine/run-events'
import { step } from '@sluice/runs/machine/step'
import type { Fact, SyncLife } from '@sluice/runs/machine/sync-life'

const { signal } = new AbortController()
const RUN: RunState = {
  ...queuedRun({ runId: 'RUN7', cause: 'manual', scope: null, command: 4, partitions: 2, at: 10 }),
  ...{ status: 'running', run: 7, definition: 'd', startedAt: 11, complete: true },
  counts: { added: sampleCounts({ detected: 2 }) },
}
const reportOf = (partition: number, ended: boolean) =>
  sampleReport({
    ...{ run: 7, partition, ended, requestsEnd: ended ? 30 : 0, attemptsEnd: 40 },
    counts: { added: sampleCounts({ delivered: ended ? 1 : 0 }) },
  })

/** The event of a run whose partitions are reported, while old ones are trimmed as this says. */
async function endedWhile(
  trim: (reports: Map<number, PartitionReport>) => Promise<void>,
  last: Partial<PartitionReport> = {},
) {
  const reports = new Map([0, 1].map(partition => [partition, reportOf(partition, true)]))
  const { partition = 1 } = last
  reports.set(partition, { ...reportOf(partition, true), ...last })
  const written: RunState[] = []
  let life: SyncLife = {
    ...IDLE,
    first: false,
    atWork: { ...interruptedRun(RUN), phase: 'delivering', isWritten: true },
  }
  const owned = {
    sync: 's',
    deps: {
      ...{ prefix: 'p', now: () => 20, logger: { warn: () => undefined } },
      log: { trim: () => trim(reports), offsets: async () => ({ low: 0, end: 0 }) },
      runs: {
        endsOf: () => [{ partition: 0, requests: 3, attempts: 4 }],
        of: () => ({ reports, events: new Map(), incarnation: 'i' }),
        caughtUp: async () => undefined,
        assertReadable: () => undefined,
        until: async (condition: () => boolean) => expect(condition()).toBe(true),
      },
    },
    ...{
      ownership: { partitions: 2, incarnation: 'i' },
      ends: { drain: signal, abort: signal },
    },
    oldRuns: new OldRuns(),
    get life() {
      return life
    },
    step: async (fact: Fact) => {
      const told = step(life, fact)
      life = told.life
      written.push(...told.events)
      return told
    },
  } as unknown as OwnedSync
  await awaitReports(owned)
  return written
}

describe('the end of a run whose partitions are all reported', () => {
  it('is that of these reports, though a partition is taken over and reports again meanwhile', async () => {
    const written = await endedWhile(async reports => void reports.set(1, reportOf(1, false)))
    expect(written).toMatchObject([
      { status: 'success', error: null, counts: { added: { detected: 2, delivered: 2 } } },
    ])
    expect(written[0]?.ends.map(({ requests }) => requests)).toEqual([30, 30])
  })

  it('drops nothing where a stage has not come to the end of the run', async () => {
    let trims = 0
    const trim = async (): Promise<void> => void (trims += 1)
    await endedWhile(trim)
    expect(trims).toBe(2)
    const written = await endedWhile(trim, { faultedFrom: 0, error: 'refused', requestsEnd: 0 })
    expect(trims).toBe(4)
    const [, other] = written[0]?.ends ?? []
    expect(written).toMatchObject([{ status: 'failed', error: 'refused' }])
    expect(other).toBeUndefined()
    trims = 0
    await endedWhile(trim, { partition: 0, faultedFrom: 0, error: 'refused', requestsEnd: 0 })
    expect(trims).toBe(0)
  })

  it('waits until nothing is being dropped any more, and is written though that failed', async () => {
    let trims = 0
    let underWay = 0
    const written = await endedWhile(async () => {
      trims += 1
      if (trims === 1) throw new Error('no rights')
      underWay += 1
      await new Promise(resolve => setImmediate(resolve))
      underWay -= 1
    })
    expect([trims, underWay]).toEqual([2, 0])
    expect(written).toMatchObject([{ status: 'success' }])
  })
})
