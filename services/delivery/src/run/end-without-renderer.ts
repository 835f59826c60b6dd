/**
 * Ends the run in a partition whose renderer cannot go on, and asks for that on `runs`: what has been
 * rendered is finished first, so that nothing of the run is under way once it has ended (PROTOCOL.md §11).
 */
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import type { CountsByOp } from '@sluice/contracts/state'
import { openRun, type RunsView } from '@sluice/stage/runs-view'
import type { PartitionReporter } from './report-partition.ts'

/** How far a run has come in the partition. */
export interface RunSoFar {
  readonly counts: CountsByOp
  /** The first change that has no request, as far as is known here. */
  readonly nextChange: number
}

/** Resolves when aborted; rejects as the log does. */
export async function endWithoutRenderer(
  of: {
    readonly runs: RunsView
    readonly run: RunEvent
    readonly partition: number
    readonly reporter: PartitionReporter
    /** Waits until every request that is there now is finished, and none of it can arrive any more. */
    readonly finished: (run: number) => Promise<RunSoFar>
  },
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const { runs, run, partition, reporter, finished } = of
  const asks = (): PartitionReport | null => {
    const known = runs.of(run.sync)
    if (known?.incarnation !== run.incarnation) return null
    const report = known.reports.get(partition)
    // What was asked of a run that has ended since is no question any more.
    if (report === undefined || report.run !== openRun(known)?.run) return null
    return !report.ended && report.faultedFrom !== null ? report : null
  }
  try {
    for (;;) {
      await runs.until(() => asks() !== null, { signal })
      const asked = asks()
      if (asked === null) continue
      const { run: number, error, errorCode } = asked
      const before = reporter.lastEnded
      const { counts, nextChange: from } = await finished(number)
      // Meanwhile the renderer may have come to the end, or the run may be over.
      const isEnded = reporter.lastEnded > before && reporter.lastEnded >= number
      const fault = { from, error: error ?? '', errorCode: errorCode ?? 'internal' }
      if (!isEnded && asks() !== null)
        await reporter.reportEnd({ begin: { run: number }, counts, fault, requestsEnd: 0 })
      await runs.until(() => asks() !== asked, { signal })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
