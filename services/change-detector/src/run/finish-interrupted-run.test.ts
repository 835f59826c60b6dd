import { describe, expect, it } from 'vitest'
import type { PartitionReport } from '@sluice/contracts/records'
import { isMarkerKey, keyText, syncTopics } from '@sluice/topics/topics'
import { IDLE } from '@sluice/testkit/sample-lives'
import { sampleCounts, sampleReport } from '@sluice/testkit/sample-records'
import { finishInterruptedRun } from './await-reports.ts'
import { OldRuns, type OwnedSync } from '../sync/owned-sync.ts'
import { interruptedRun } from '@sluice/runs/machine/find-runs'
import { queuedRun, type RunState } from '@sluice/runs/machine/run-events'
import { step } from '@sluice/runs/machine/step'
import type { Fact, PartitionTail, SyncLife } from '@sluice/runs/machine/sync-life'

const { signal } = new AbortController()
const OPEN: RunState = {
  ...queuedRun({ runId: 'RUN7', cause: 'manual', scope: null, command: 4, partitions: 2, at: 10 }),
  ...{ status: 'running', run: 7, definition: 'd', startedAt: 11 },
  counts: { added: sampleCounts({ detected: 2 }) },
}
const ENDED: PartitionTail = { run: 7, ended: true, sealed: false, count: 1 }
const BEGUN: PartitionTail = { ...ENDED, ended: false }
const EARLIER: PartitionTail = { ...ENDED, run: 6 }

interface Left {
  readonly tails: readonly PartitionTail[]
  readonly open?: Partial<RunState>
  readonly reports?: readonly Partial<PartitionReport>[]
  readonly isOneProcess?: boolean
}

/** The steps in order: events, markers, and what is queued. */
async function finish(left: Left): Promise<{ readonly done: readonly string[]; readonly first: boolean }> {
  const { tails, isOneProcess = false } = left
  const delivered = { counts: { added: sampleCounts({ delivered: 1 }) } }
  const { reports = [delivered, delivered] } = left
  const open = { ...OPEN, first: true, ...left.open }
  const made = reports.map((report, partition) => sampleReport({ run: 7, partition, ...report }))
  const done: string[] = []
  const append = (partition: number, key: Uint8Array): void => {
    const marker = isMarkerKey(key) ? keyText(key.subarray(1)) : 'none'
    done.push(`${marker.replace(/\/.*/, '')} in ${partition}`)
  }
  const owner = (partition: number): object => ({
    markerOffset: () => 0,
    append: async (_: unknown, records: readonly { readonly key: Uint8Array }[]) => {
      for (const { key } of records) append(partition, key)
    },
  })
  let life: SyncLife = {
    ...IDLE,
    atWork: interruptedRun(open, isOneProcess),
  }
  const owned = {
    sync: 's',
    deps: {
      now: () => 20,
      newRunId: () => 'NEW',
      io: { encode: () => new Uint8Array() },
      log: { offsets: async () => ({ low: 0, end: 0 }) },
      runs: {
        endsOf: () => null,
        caughtUp: async () => undefined,
        of: () => ({ reports: new Map(made.map(report => [report.partition, report])) }),
        assertReadable: () => undefined,
        until: async (condition: () => boolean) => expect(condition()).toBe(true),
      },
    },
    ownership: {
      partitions: 2,
      incarnation: 'i',
      topics: syncTopics('p', 's'),
      tails: async () => tails,
      of: owner,
    },
    ends: { drain: signal, abort: signal },
    startedHere: new Set(),
    oldRuns: new OldRuns(),
    get life() {
      return life
    },
    step: async (fact: Fact) => {
      const told = step(life, fact)
      life = told.life
      done.push(...told.events.map(inWords))
      return told
    },
  } as unknown as OwnedSync
  await finishInterruptedRun(owned)
  expect(life.atWork).toBeNull()
  return { done, first: life.first }
}

function inWords({ runId, status, approved }: RunState): string {
  if (runId === OPEN.runId) return status
  return `${runId} ${status}${approved === null ? '' : `, ${approved} approved`}`
}

describe('a run that was left open', () => {
  it('goes on where all its markers are written: it ends as it would have, and nothing is done again', async () => {
    const { done, first } = await finish({ tails: [ENDED, ENDED] })
    expect(done).toEqual(['running', 'success'])
    expect(first).toBe(false)
  })

  it('gets its missing markers in each partition that lacks them, and is queued again before it ends', async () => {
    const { done, first } = await finish({ tails: [BEGUN, EARLIER] })
    expect(done).toEqual(['run-end in 0', 'run-begin in 1', 'run-end in 1', 'NEW queued', 'failed'])
    expect(first).toBe(true)
    const begun = await finish({ tails: [ENDED, BEGUN] })
    expect(begun.done).toEqual(['run-end in 1', 'NEW queued', 'failed'])
    const unbegun = await finish({ tails: [ENDED, EARLIER] })
    expect(unbegun.done).toEqual(['run-begin in 1', 'run-end in 1', 'NEW queued', 'failed'])
  })

  it('counts as published in part where its own process died and does everything', async () => {
    const { done, first } = await finish({ tails: [ENDED, ENDED], isOneProcess: true })
    expect(done).toEqual(['running', 'NEW queued', 'failed'])
    expect(first).toBe(false)
  })

  it('is done again where an earlier owner ended it early', async () => {
    const { done } = await finish({ tails: [ENDED, { ...ENDED, sealed: true }] })
    expect(done).toEqual(['NEW queued', 'failed'])
  })

  it('has failed where nothing of it was written, and is queued again before that', async () => {
    const { done } = await finish({ tails: [EARLIER, EARLIER] })
    expect(done).toEqual(['NEW queued', 'failed'])
  })

  it('hands on what is left of its approval by its reports, and all of it where nothing was written', async () => {
    const open = { approved: 500 }
    const removed = (delivered: number) => ({ counts: { removed: sampleCounts({ delivered }) } })
    const tails = [ENDED, BEGUN]
    const some = await finish({ tails, open, reports: [removed(200), removed(100)] })
    expect(some.done).toContain('NEW queued, 200 approved')
    const all = await finish({ tails, open, reports: [removed(200), removed(300)] })
    expect(all.done).toContain('NEW queued')
    const unwritten = await finish({ tails: [EARLIER, EARLIER], open, reports: [removed(1), removed(1)] })
    expect(unwritten.done).toContain('NEW queued, 500 approved')
  })

  it('is not done again where somebody cancelled it, or where it failed by itself', async () => {
    const cancelling = { open: { cancelling: true } }
    expect((await finish({ tails: [BEGUN, BEGUN], ...cancelling })).done.at(-1)).toBe('cancelled')
    expect((await finish({ tails: [EARLIER, EARLIER], ...cancelling })).done).toEqual(['cancelled'])
    const failed = await finish({ tails: [BEGUN, ENDED], open: { error: 'no such table' } })
    expect(failed.done).toEqual(['run-end in 0', 'failed'])
  })
})
