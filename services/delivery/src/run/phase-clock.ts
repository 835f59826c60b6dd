/** When the partition of a run came so far, for people. What an earlier owner has reported goes on. */
import type { PartitionReport } from '@sluice/contracts/records'

export type PartitionPhases = NonNullable<PartitionReport['phases']>

const NONE: PartitionPhases = { renderingFrom: null, renderedAt: null, sendingFrom: null }

export class PhaseClock {
  #run: number | null = null
  #times = NONE

  /** `report` is the last one of the partition; `at` is when the first request was written. */
  began(run: number, report: PartitionReport | undefined, at: number): void {
    if (run === this.#run) return
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
