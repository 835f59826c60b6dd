/**
 * Runs that end before delivery has reached their `run-end` (PROTOCOL.md §11):
 *
 * - If a stage cannot go on with a run, its remaining requests become unsent.
 * - A run that cannot be opened, since its definition or some of its requests cannot be read, is passed over.
 *   The next run takes all of it as unknown.
 * - A run whose renderer cannot go on is ended here.
 */
import type { SluiceError } from '@sluice/contracts/errors'
import { concernOf } from '@sluice/partition/failures'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import type { CountsByOp } from '@sluice/contracts/state'
import { runAtWork, type RunsView } from '@sluice/runs/runs-view'
import type { RequestSequence } from '../send/request-sequence.ts'
import type { DeliveryParts } from './open-run.ts'
import type { PartitionReporter } from './report-partition.ts'

/** The error of the unsent requests of an abandoned run. */
export const RUN_ABANDONED = 'the run was ended before this was to be sent, since a stage could not go on'

/**
 * A run that a report ends, or is about to end, in this partition before its `run-end`, since a stage could
 * not continue. The next run may begin at any moment, so delivery may send nothing more of this one. A
 * request that still arrives in `requests` becomes unsent.
 */
export class AbandonedRun {
  readonly #report: () => PartitionReport | undefined
  #run: number | null = null
  #from = 0

  /** `report` returns the latest known report of the partition, by any writer. */
  constructor(report: () => PartitionReport | undefined) {
    this.#report = report
  }

  /** Sends nothing of the run from this offset of `requests` on. The first call for a run counts. */
  abandon(run: number, from: number): void {
    if (this.#run === run) return
    this.#run = run
    this.#from = from
  }

  /** True for a request of the run that must not be sent any more. */
  includes(run: number, offset: number): boolean {
    if (this.#run === run && offset >= this.#from) return true
    const report = this.#report()
    return report?.run === run && report.ended && report.requestsEnd === 0
  }
}

/** Returns the last report of this partition on `runs`. */
export function reportOf({ deps, run, attempts }: DeliveryParts): PartitionReport | undefined {
  const known = deps.runs.of(run.sync)
  return known?.incarnation === run.incarnation ? known.reports.get(attempts.partition) : undefined
}

/** The run that is passed over, if there is one. */
export class PassedRun {
  readonly #isOver: (run: number) => boolean
  #run: number | null = null
  /** The error of a record that could not be read while no run was open. The next record shows its run. */
  #torn: SluiceError | null = null

  /** `isOver` returns true if the run with this number has ended. */
  constructor(isOver: (run: number) => boolean) {
    this.#isOver = isOver
  }

  /** The number of the run that is passed over; null if there is none. */
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
   * True if a record of this run is to be passed over. Throws the error of an unreadable record if it belongs
   * to a run that goes on.
   */
  passes(run: number): boolean {
    const torn = this.#torn
    if (torn === null) return this.#run === run
    if (!this.#isOver(run)) throw torn
    this.#torn = null
    this.#run = run
    return true
  }

  /** Passes over a run that cannot be opened. Throws the reason if it concerns more than this run. */
  begin(run: number, reason: unknown): void {
    if (concernOf(reason) !== 'sync' || !this.#isOver(run)) throw reason
    this.#run = run
  }

  /** Notes that its end, or the next run, is reached. */
  end(): void {
    this.#run = null
    this.#torn = null
  }
}

/** The progress of a run in the partition. */
export interface RunSoFar {
  readonly counts: CountsByOp
  /** The first change without a request, as far as delivery knows. */
  readonly nextChange: number
  /** The number of delivery processes that it ended. */
  readonly died: number
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
     * arrive any more.
     */
    readonly finished: (run: number) => Promise<RunSoFar>
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
      // The partition may have reached the end of the run meanwhile, or the run may be over. The request of
      // the renderer counts even if it is no longer on `runs`, since a report of progress replaces it there.
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

/** Returns the open run and its first change without a request; null and 0 if no run is open. */
export function runSoFar(open: RequestSequence | null): {
  readonly run: number | null
  readonly nextChange: number
} {
  return { run: open?.begin.run ?? null, nextChange: open?.fault?.from ?? open?.nextChange ?? 0 }
}
