/**
 * A run that is reported as over in this partition, or is about to be, though its `run-end` is not reached: a
 * stage could not go on. The next run may begin at any moment, so nothing more of this one may be sent. A
 * request of it that comes to its place in `requests` all the same is unsent (PROTOCOL.md §11).
 */
import type { PartitionReport } from '@sluice/contracts/records'
import type { DeliveryParts } from './open-run.ts'

/** Why a request of it is unsent. */
export const CUT = 'the run was ended before this was to be sent, since a stage could not go on'

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
