/** Runs of a sync in each phase that they go through, and what a step does in words. */
import type { PartitionReport } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { interruptedRun } from '@sluice/runs/machine/find-runs'
import { queuedRun, type RunState } from '@sluice/runs/machine/run-events'
import type { AtWork, PartitionTail, Phase, Step, SyncLife } from '@sluice/runs/machine/sync-life'
import { sampleCounts, sampleReport } from './sample-records.ts'

export const QUEUED: RunState = queuedRun({
  runId: 'RUN',
  cause: 'manual',
  scope: null,
  command: 4,
  partitions: 2,
  at: 10,
})
const TAKEN: RunState = { ...QUEUED, run: 7, startedAt: 11 }
export const RUNNING: RunState = { ...TAKEN, status: 'running', definition: 'd' }
export const HELD = { removed: 200, rows: 300, samples: [] }
export const TO = { url: 'https://api.test', accounts: {} }
export const HELD_ELSEWHERE = {
  ...HELD,
  destination: { from: TO, to: { ...TO, url: 'https://elsewhere.test' } },
}
export const FOUND = {
  ...{ rowsRead: 9, rowsInvalid: 0, undecided: 0, invalidSamples: [], notices: [], faults: [] },
  counts: { added: sampleCounts({ detected: 2 }) },
}
export const NOTHING = { ...FOUND, counts: {} }
export const ENDED: PartitionTail = { run: 7, ended: true, sealed: false, count: 1 }
export const DELIVERED: readonly PartitionReport[] = [0, 1].map(partition =>
  sampleReport({ run: 7, partition, counts: { added: sampleCounts({ delivered: 1 }) } }),
)

export const IDLE: SyncLife = {
  ...{ lastRun: 7, first: true, faults: [], lastCommand: 4 },
  ...{ deaths: 0, fired: null, deliveredTo: { ...TO, change: 1 } },
  ...{ atWork: null, queued: [], awaiting: null, replacementCancelled: false },
}

/** The run at work, in each phase as it comes there. */
export const AT_WORK: { readonly [P in Phase]: AtWork } = {
  taken: own('taken', TAKEN),
  detecting: own('detecting', RUNNING),
  publishing: own('publishing', { ...RUNNING, ...FOUND }, { isWritten: true }),
  delivering: own('delivering', { ...RUNNING, ...FOUND, complete: true }, { isWritten: true }),
  reported: own(
    'reported',
    { ...RUNNING, ...FOUND, complete: true },
    { isWritten: true, reports: DELIVERED },
  ),
  done: own('done', { ...RUNNING, status: 'success', complete: true }, { isWritten: true }),
  interrupted: interruptedRun(RUNNING),
  unpublished: { ...interruptedRun(RUNNING), phase: 'unpublished' },
  closing: { ...interruptedRun(RUNNING), phase: 'closing', isWritten: true, endsEarly: true },
}
export const PHASES: readonly Phase[] = Object.values(AT_WORK).map(({ phase }) => phase)

export function own(phase: Phase, run: RunState, more: Partial<AtWork> = {}): AtWork {
  return { ...interruptedRun(run), isInterrupted: false, phase, ...more }
}

export function inWords({ life, events, next, stops }: Step): string {
  const written = events.map(({ runId, status, error, cancelling }) =>
    [
      `${runId} ${status}`,
      ...(!isEnded(status) && cancelling ? ['cancelling'] : []),
      ...(status === 'running' && error !== null ? ['failed'] : []),
    ].join(', '),
  )
  const stopped = stops ? ['stop the work'] : []
  return `${life.atWork?.phase ?? 'none'}; ${[...stopped, ...written].join(' + ')}; ${next}`
}
