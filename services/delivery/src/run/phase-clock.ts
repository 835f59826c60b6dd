/** When the partition of a run came so far, for people. What an earlier owner has reported goes on. */
import type { PartitionReport } from '@sluice/contracts/records'

export type PartitionPhases = NonNullable<PartitionReport['phases']>

const NONE: PartitionPhases = { renderingFrom: null, renderedAt: null, sendingFrom: null }

export class PhaseClock {
  readonly #lastReport: () => PartitionReport | undefined
  #run: number | null = null
  #times = NONE

  /** `lastReport` gives the last one of the partition. */
  constructor(lastReport: () => PartitionReport | undefined) {
    this.#lastReport = lastReport
  }

  /** `at` is when the first request was written. */
  began(run: number, at = Date.now()): void {
    if (run === this.#run) return
    const report = this.#lastReport()
    const before = report?.run === run ? report.phases : null
    this.#run = run
    this.#times = { ...NONE, renderingFrom: at, ...before }
  }

  tookRequest(): void {
    if (this.#times.sendingFrom === null) this.#times = { ...this.#times, sendingFrom: Date.now() }
  }

  rendered(at: number): void {
    this.#times = { ...this.#times, renderedAt: at }
  }

  /** Of this run; null for another one. */
  timesOf(run: number): PartitionPhases | null {
    return run === this.#run ? this.#times : null
  }
}
