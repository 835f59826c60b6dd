import type { PartitionReport } from '@sluice/contracts/records'
import { isReached } from '@sluice/runs/machine/run-events'
import type { Next } from '@sluice/runs/machine/sync-life'
import { assertAllKept } from '@sluice/partition/kept-topics'
import { endReplayed } from '../publish/replayed-requests.ts'
import type { Tenure } from '../sync/tenure.ts'
import { forgetRuns } from './forget-runs.ts'
import { trimHistory } from './trim-history.ts'

/**
 * Waits until delivery has reported every partition of the run at work, and ends the run. Old requests and
 * runs are dropped before the end is written. So a reader that sees the end sees them gone.
 */
export async function awaitReports(tenure: Tenure): Promise<void> {
  const { deps, sync, ownership, ends } = tenure
  const number = tenure.life.atWork?.run.run
  const reports = (): readonly PartitionReport[] =>
    [...(deps.runs.of(sync)?.reports.values() ?? [])].filter(report => report.run === number && report.ended)
  const areReported = (): boolean => {
    deps.runs.assertReadable(sync)
    return reports().length >= ownership.partitions
  }
  await deps.runs.until(areReported, { signal: ends.drain })
  // From here on these reports count: a partition that is taken over may report its progress again.
  const reported = reports()
  // A stage that cannot go on may have lost a topic. Then it was only the first to notice.
  if (!reported.every(isReached))
    await assertAllKept(deps, { sync, incarnation: ownership.incarnation }, { signal: ends.drain })
  const { next } = await tenure.tell({ kind: 'reported', reports: reported, at: deps.now() })
  await replaceIfDue(tenure, next)
  await endReplayed(tenure)
  await trimHistory(tenure, new Set(reported.filter(isReached).map(({ partition }) => partition)))
  await forgetRuns(tenure)
  const endsBefore = deps.runs.endsOf(sync, Infinity) ?? []
  await tenure.tell({ kind: 'ended', endsBefore, at: deps.now() })
}

/** Queues a run in the place of one that was cut, where the machine says so. */
export async function replaceIfDue(tenure: Tenure, next: Next): Promise<void> {
  const { newRunId, now } = tenure.deps
  if (next === 'replace') await tenure.tell({ kind: 'replaced', newRunId: newRunId(), at: now() })
}
