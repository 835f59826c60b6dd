/** Brings a run to its end that an earlier owner left at work (PROTOCOL.md §6). */
import { SluiceError } from '@sluice/contracts/errors'
import type { RunBegin } from '@sluice/contracts/records'
import type { RunState } from '@sluice/runs/machine/run-events'
import type { PartitionTail } from '@sluice/runs/machine/sync-life'
import { appendMarker } from '../publish/publish-changes.ts'
import type { Tenure } from '../sync/tenure.ts'
import { awaitReports, replaceIfDue } from './await-reports.ts'

/**
 * Looks how much of the run is written, writes the markers that are missing if it was cut, and waits until
 * delivery has reported it. The machine decides which of these the run needs, and which run takes its place.
 */
export async function finishLeftRun(tenure: Tenure): Promise<void> {
  const { deps, ownership, ends } = tenure
  if (tenure.life.atWork === null) return
  const tails = await ownership.tails(ends.drain)
  const { life, next } = await tenure.tell({ kind: 'inspected', tails })
  if (next === 'seal' && life.atWork !== null) {
    await seal(tenure, life.atWork.run, tails)
    await tenure.tell({ kind: 'sealed' })
  }
  if (next === 'seal' || next === 'await-reports') await awaitReports(tenure)
  else {
    await replaceIfDue(tenure, next)
    await tenure.tell({ kind: 'ended', endsBefore: [], at: deps.now() })
  }
  await tenure.tell({ kind: 'released' })
}

/** Writes the markers that are missing. */
async function seal(tenure: Tenure, left: RunState, tails: readonly PartitionTail[]): Promise<void> {
  const options = { io: tenure.deps.io, ownership: tenure.ownership, signal: tenure.ends.drain }
  const begin = beginOf(left)
  for (const [partition, tail] of tails.entries()) {
    const begun = tail.run === left.run
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
