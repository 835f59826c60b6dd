/** What becomes of a run that an earlier owner left at work (PROTOCOL.md §6). */
import { SluiceError } from '@sluice/contracts/errors'
import type { PartitionReport, RunBegin } from '@sluice/contracts/records'
import { awaitReports } from './await-reports.ts'
import type { PartitionTail } from '../sync/own-sync.ts'
import { appendMarker } from '../publish/publish-changes.ts'
import {
  approvalLeft,
  cancelledRun,
  failedRun,
  hasSeenModel,
  INTERRUPTED,
  type RunState,
} from './run-events.ts'
import type { Tenure } from '../sync/tenure.ts'

/**
 * Adopts a run whose changes are all published; seals one that was cut, and lets a new one start from the
 * true state. A run that failed by itself is not repeated.
 */
export async function finishOpenRun(tenure: Tenure): Promise<void> {
  const { open, deps, ownership, ends } = tenure
  if (open === null) return
  const tails = await ownership.tails(ends.signal)
  const written = tails.filter(tail => tail.run === open.run)
  let sealed = isInterrupted(tenure, open) || written.some(tail => tail.sealed)
  if (written.length === 0) {
    await beginAnew(tenure, open, [])
    const state = tenure.running?.state ?? open
    const failed = failedRun(open, new SluiceError('internal', INTERRUPTED), deps.now())
    await tenure.write(state.cancelling ? cancelledRun(state, deps.now()) : failed)
  } else {
    const cut = written.length < tails.length || written.some(tail => !tail.ended)
    sealed ||= cut
    // Renderer and delivery work on runs that the topic says are running.
    const run: RunState = {
      ...open,
      status: 'running',
      endedAt: null,
      complete: !cut && !written.some(tail => tail.sealed),
    }
    if (run.status !== open.status || run.complete !== open.complete) await tenure.write(run)
    if (cut) await seal(tenure, run, tails)
    const anew = (reports: readonly PartitionReport[]): Promise<void> => beginAnew(tenure, open, reports)
    await awaitReports(tenure, run, { sealed, beforeEnd: sealed ? anew : undefined })
    tenure.first = open.first && !hasSeenModel(run)
  }
  tenure.open = null
  tenure.running = null
}

/** True for a run whose process is gone, where one process does everything. */
export function isInterrupted(
  { deps, begunHere }: Pick<Tenure, 'deps' | 'begunHere'>,
  run: RunState,
): boolean {
  return deps.adoptedAreInterrupted && !begunHere.has(run.runId)
}

/**
 * Queues what was cut before it ends: a detector that dies between the two does so again, and forgets
 * nothing. What `reports` say was removed is no longer approved of.
 */
async function beginAnew(tenure: Tenure, open: RunState, reports: readonly PartitionReport[]): Promise<void> {
  const cancelling = tenure.running?.state.cancelling ?? open.cancelling
  if (!cancelling && open.error === null)
    await tenure.queueAnew({ ...open, approved: approvalLeft(open, reports) })
}

/** Writes the markers that are missing. */
async function seal(tenure: Tenure, open: RunState, tails: readonly PartitionTail[]): Promise<void> {
  const options = { io: tenure.deps.io, ownership: tenure.ownership, signal: tenure.ends.signal }
  const begin = beginOf(open)
  for (const [partition, tail] of tails.entries()) {
    const begun = tail.run === open.run
    if (begun && tail.ended) continue
    if (!begun) await appendMarker(options, partition, 'run-begin', { begin })
    await appendMarker(options, partition, 'run-end', { begin, count: begun ? tail.count : 0, sealed: true })
  }
}

/** What a run's `run-begin` marker carries. */
export function beginOf({ run, runId, definition, startedAt, first }: RunState): RunBegin {
  if (run === null || definition === null || startedAt === null)
    throw new SluiceError('internal', `run ${runId} has no number or definition yet`)
  return { run, runId, definition, startedAt, first }
}
