/**
 * Runs that end before delivery has reached their `run-end` (PROTOCOL.md §11):
 *
 * - A run that cannot be opened, since its definition or some of its requests cannot be read, is skipped. The
 *   next run takes all of its changes as unknown.
 * - A run whose renderer cannot go on is ended here.
 */
import type { SluiceError } from '@sluice/contracts/errors'
import { concernOf } from '@sluice/partition/failures'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import type { CountsByOp } from '@sluice/contracts/state'
import { runAtWork, type RunsView } from '@sluice/runs/runs-view'
import type { PartitionReporter } from './report-partition.ts'

/** The run that is skipped, if there is one. */
export class PassedRun {
  readonly #isOver: (run: number) => boolean
  #run: number | null = null
  /** The error of a record that could not be read while no run was open. The next record shows its run. */
  #torn: SluiceError | null = null

  /** `isOver` returns true if the run with this number has ended. */
  constructor(isOver: (run: number) => boolean) {
    this.#isOver = isOver
  }

  /** The number of the run that is skipped; null if there is none. */
  get run(): number | null {
    return this.#run
  }

  /** Takes a record that cannot be read. Throws its error if the open run has not ended. */
  takeTorn(torn: SluiceError, open: number | null): void {
    const run = open ?? this.#run
    if (run === null) this.#torn ??= torn
    else if (!this.#isOver(run)) throw torn
  }

  /**
   * True if a record of this run is to be skipped. Throws the error of an unreadable record if it belongs to
   * a run that goes on.
   */
  passes(run: number): boolean {
    const torn = this.#torn
    if (torn === null) return this.#run === run
    if (!this.#isOver(run)) throw torn
    this.#torn = null
    this.#run = run
    return true
  }

  /** Skips a run that cannot be opened. Throws the reason if it concerns more than this run. */
  begin(run: number, reason: unknown): void {
    if (concernOf(reason) !== 'sync' || !this.#isOver(run)) throw reason
    this.#run = run
  }

  /** Notes that the end of the skipped run, or the next run, is reached. */
  end(): void {
    this.#run = null
    this.#torn = null
  }
}

/**
 * Ends a run in the partition if its renderer cannot go on and asks for the end on `runs`. Delivery first
 * finishes all requests that are there, and sends nothing more. So nothing of the run is under way once it
 * has ended.
 *
 * Resolves when aborted. Rejects as the log does.
 */
export async function endWithoutRenderer(
  {
    runs,
    run,
    partition,
    reporter,
    finished,
  }: {
    readonly runs: RunsView
    readonly run: RunEvent
    readonly partition: number
    readonly reporter: PartitionReporter
    /**
     * Stops the run at the requests that are there now. Waits until each of these is finished, and none can
     * arrive any more. Returns the counts, the first change without a request as far as delivery knows, and
     * the number of delivery processes that the run has ended.
     */
    readonly finished: (
      run: number,
    ) => Promise<{ readonly counts: CountsByOp; readonly nextChange: number; readonly died: number }>
  },
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const goesOn = (number: number): boolean => {
    const known = runs.of(run.sync)
    return known?.incarnation === run.incarnation && runAtWork(known)?.run === number
  }
  const asks = (): PartitionReport | null => {
    const report = runs.of(run.sync)?.reports.get(partition)
    // A run that has ended meanwhile needs no end here.
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
      // The partition may have reached the end of the run meanwhile, or the run may be over. The request for
      // the end counts even if it is no longer on `runs`, since a report of progress replaces it there.
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
