/**
 * The rows that a sync's runs delivered during the last day, counted by the quarter of an hour in which each
 * run ended. In every time zone, midnight is the start of such a quarter.
 */
import type { RunEvent } from '@sluice/contracts/records'
import { totalOf } from '@sluice/domain/counts'

const QUARTER_MS = 900_000
/** The longest local day has 26 hours, since some clocks go back by two hours. */
const KEPT_QUARTERS = 4 * 26

export class DeliveredRows {
  readonly #quarters = new Map<number, number>()
  /** The end of the last run before which some runs are unknown; null if all runs are known. */
  #gapAt: number | null = null
  #last: { readonly runId: string; readonly run: number; quarter: number; rows: number } | null = null

  /** Takes the end of a run, in the order of their ends. A run may end twice. */
  add({ runId, run, endedAt, counts }: Pick<RunEvent, 'runId' | 'run' | 'endedAt' | 'counts'>): void {
    if (run === null || endedAt === null) return
    if (this.#last?.runId === runId) this.#count(this.#last.quarter, -this.#last.rows)
    else if (run > (this.#last?.run ?? 0) + 1) this.#gapAt = endedAt
    const rows = totalOf(counts, 'delivered')
    const quarter = Math.floor(endedAt / QUARTER_MS)
    this.#last = { runId, run, quarter, rows }
    this.#count(quarter, rows)
    for (const old of this.#quarters.keys()) if (old < quarter - KEPT_QUARTERS) this.#quarters.delete(old)
  }

  /**
   * The rows of the runs that ended at this time (ms since 1970) or later, to the quarter of an hour.
   * `isWhole` is false if some of these runs are unknown.
   */
  since(at: number): { readonly rows: number; readonly isWhole: boolean } {
    let rows = 0
    for (const [quarter, counted] of this.#quarters)
      if (quarter >= Math.floor(at / QUARTER_MS)) rows += counted
    return { rows, isWhole: this.#gapAt === null || this.#gapAt < at }
  }

  #count(quarter: number, rows: number): void {
    this.#quarters.set(quarter, (this.#quarters.get(quarter) ?? 0) + rows)
  }
}
