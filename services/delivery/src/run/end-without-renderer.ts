/**
 * Ends the run in a partition whose renderer cannot go on and asks for that on `runs`. Delivery first
 * finishes all requests that are there, and sends nothing more. So nothing of the run is under way once it
 * has ended (PROTOCOL.md §11).
 */
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import type { CountsByOp } from '@sluice/contracts/state'
import { openRun, type RunsView } from '@sluice/runs/runs-view'
import type { PartitionReporter } from './report-partition.ts'
import type { RequestSequence } from '../send/request-sequence.ts'

/** How far a run has come in the partition. */
export interface RunSoFar {
  readonly counts: CountsByOp
  /** The first change without a request, as far as is known here. */
  readonly nextChange: number
  /** So many processes of delivery died of it. */
  readonly died: number
}

/** Resolves when aborted; rejects as the log does. */
export async function endWithoutRenderer(
  of: {
    readonly runs: RunsView
    readonly run: RunEvent
    readonly partition: number
    readonly reporter: PartitionReporter
    /**
     * Stops the run at the requests that are there now. Waits until each of these is finished, and none can
     * arrive any more.
     */
    readonly finished: (run: number) => Promise<RunSoFar>
  },
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const { runs, run, partition, reporter, finished } = of
  const goesOn = (number: number): boolean => {
    const known = runs.of(run.sync)
    return known?.incarnation === run.incarnation && openRun(known)?.run === number
  }
  const asks = (): PartitionReport | null => {
    const report = runs.of(run.sync)?.reports.get(partition)
    // A question about a run that has ended since needs no answer.
    if (report === undefined || !goesOn(report.run)) return null
    return !report.ended && report.faultedFrom !== null ? report : null
  }
  try {
    for (;;) {
      await runs.until(() => asks() !== null, { signal })
      const asked = asks()
      if (asked === null) continue
      const { run: number, error, errorCode, deaths } = asked
      const before = reporter.lastEnded
      if (before >= number) {
        await reporter.repeatEnd()
        await runs.until(() => asks() !== asked, { signal })
        continue
      }
      const { counts, nextChange: from, died } = await finished(number)
      // Meanwhile the partition may have reached its end, or the run may be over. A question that is no
      // longer on `runs` still counts: a report of progress takes its place there.
      const isEnded = reporter.lastEnded >= number
      const fault = { from, error: error ?? '', errorCode: errorCode ?? 'internal' }
      if (!isEnded && goesOn(number))
        await reporter.reportEnd({
          ...{ begin: { run: number }, counts, fault, requestsEnd: 0 },
          deaths: (deaths ?? 0) + died,
        })
      await runs.until(() => asks() !== asked, { signal })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** How far the open run has come, if one is open. */
export function runSoFar(open: RequestSequence | null): {
  readonly run: number | null
  readonly nextChange: number
} {
  return { run: open?.begin.run ?? null, nextChange: open?.fault?.from ?? open?.nextChange ?? 0 }
}
