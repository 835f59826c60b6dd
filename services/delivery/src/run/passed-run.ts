/**
 * A run that ended before its partition was done, and that cannot be opened any more: its definition or a
 * part of its requests cannot be read. Delivery passes over the rest of it, so that it stops no later run.
 * The next run takes all of it as unknown (PROTOCOL.md §11).
 *
 * A run that can be opened is not passed over: its remaining requests become unsent.
 */
import type { SluiceError } from '@sluice/contracts/errors'
import { concernOf } from '@sluice/partition/failures'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import type { CountsByOp } from '@sluice/contracts/state'
import { openRun, type RunsView } from '@sluice/runs/runs-view'
import type { RequestSequence } from '../send/request-sequence.ts'
import type { DeliveryParts } from './open-run.ts'
import type { PartitionReporter } from './report-partition.ts'

/** Why a request of it is unsent. */
export const CUT = 'the run was ended before this was to be sent, since a stage could not go on'

/**
 * A run that is reported as over in this partition, or is about to be, though its `run-end` is not reached: a
 * stage could not go on. The next run may begin at any moment, so nothing more of this one may be sent. A
 * request of it that comes to its place in `requests` all the same is unsent (PROTOCOL.md §11).
 */
export class CutRun {
  readonly #report: () => PartitionReport | undefined
  #run: number | null = null
  #from = 0

  /** `report` gives the latest known report of the partition, by any writer. */
  constructor(report: () => PartitionReport | undefined) {
    this.#report = report
  }

  /** From this offset of `requests` on, nothing of the run is to be sent. The first call counts. */
  at(run: number, from: number): void {
    if (this.#run === run) return
    this.#run = run
    this.#from = from
  }

  /** True for a request that is not to be sent any more. */
  has(run: number, offset: number): boolean {
    if (this.#run === run && offset >= this.#from) return true
    const report = this.#report()
    return report?.run === run && report.ended && report.requestsEnd === 0
  }
}

/** What `runs` says of this partition. */
export function reportOf({ deps, run, attempts }: DeliveryParts): PartitionReport | undefined {
  const known = deps.runs.of(run.sync)
  return known?.incarnation === run.incarnation ? known.reports.get(attempts.partition) : undefined
}

export class PassedRun {
  readonly #isOver: (run: number) => boolean
  #run: number | null = null
  /**
   * The error of a record that could not be read while no run was open. The next record tells whose it is.
   */
  #torn: SluiceError | null = null

  /** `isOver` says of a run, by its number, whether it has ended. */
  constructor(isOver: (run: number) => boolean) {
    this.#isOver = isOver
  }

  /** The number of the run that is passed over, if there is one. */
  get run(): number | null {
    return this.#run
  }

  /**
   * Takes a record that cannot be read. `open` is the run that is open. Throws the error if that run goes on.
   */
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

  /** Its end, or the next run, is reached. */
  end(): void {
    this.#run = null
    this.#torn = null
  }
}

/** How far a run has come in the partition. */
export interface RunSoFar {
  readonly counts: CountsByOp
  /** The first change without a request, as far as is known here. */
  readonly nextChange: number
  /** So many processes of delivery died of it. */
  readonly died: number
}

/**
 * Ends the run in a partition whose renderer cannot go on and asks for that on `runs`. Delivery first
 * finishes all requests that are there, and sends nothing more. So nothing of the run is under way once it
 * has ended (PROTOCOL.md §11).
 *
 * Resolves when aborted; rejects as the log does.
 */
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
