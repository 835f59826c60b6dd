import type { PartitionReport } from '@sluice/contracts/records'
import { forgetRuns } from './forget-runs.ts'
import { endedRun, type RunState } from './run-events.ts'
import { trimHistory } from './trim-history.ts'
import type { Tenure } from './tenure.ts'

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
  await of.beforeEnd?.(reported)
  await trimHistory(tenure)
  await forgetRuns(tenure)
  const { cancelling } = tenure.running?.state ?? run
  await tenure.write(endedRun({ ...run, cancelling }, reported, { sealed: of.sealed, at: deps.now() }))
}
