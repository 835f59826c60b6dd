import type { PartitionReport } from '@sluice/contracts/records'
import { assertAllKept } from '@sluice/stage/kept-topics'
import { forgetRuns } from './forget-runs.ts'
import { endedRun, isReached, type RunState } from './run-events.ts'
import { trimHistory } from './trim-history.ts'
import type { Tenure } from '../sync/tenure.ts'

/**
 * Waits until delivery has reported every partition of a run, and ends the run, once `beforeEnd` has
 * resolved, which is given the reports. What is too old is dropped then: whoever sees the end sees that, too.
 */
export async function awaitReports(
  tenure: Tenure,
  run: RunState,
  of: {
    readonly sealed: boolean
    readonly beforeEnd?: ((reports: readonly PartitionReport[]) => Promise<void>) | undefined
  },
): Promise<void> {
  const { deps, sync, ownership, ends } = tenure
  const reports = (): readonly PartitionReport[] =>
    [...(deps.runs.of(sync)?.reports.values() ?? [])].filter(report => report.run === run.run && report.ended)
  await deps.runs.until(() => reports().length >= ownership.partitions, { signal: ends.signal })
  // From here on these count: a partition that is taken over may report its progress anew.
  const reported = reports()
  // A stage that cannot go on may have lost a topic: then this is no more than the first to notice.
  if (!reported.every(isReached))
    await assertAllKept(deps, { sync, incarnation: ownership.incarnation }, { signal: ends.signal })
  await of.beforeEnd?.(reported)
  await trimHistory(tenure, new Set(reported.filter(isReached).map(({ partition }) => partition)))
  await forgetRuns(tenure)
  const { cancelling } = tenure.running?.state ?? run
  const endsBefore = deps.runs.endsOf(sync, Infinity) ?? []
  const how = { sealed: of.sealed, at: deps.now(), endsBefore }
  await tenure.write(endedRun({ ...run, cancelling }, reported, how))
}
