/**
 * The places in `requests` and `attempts` at which a sync's runs ended. The detector drops records before an
 * end that is old enough. One run an hour is remembered, however many there were.
 */
import type { PartitionEnd } from '@sluice/contracts/records'

/** Requests and attempts are kept for this time after the end of their run (PROTOCOL.md §1). */
export const HISTORY_KEPT_MS = 7 * 24 * 3_600_000
const APART_MS = 3_600_000

interface EndedRun {
  readonly runId: string
  readonly endedAt: number
  readonly ends: readonly PartitionEnd[]
}

export class EndsOfRuns {
  /** In the order of the topic and of time: `add` never dates a run earlier than the run before it. */
  readonly #runs: EndedRun[] = []

  get size(): number {
    return this.#runs.length
  }

  /** True for a run whose ends are remembered here. */
  has(runId: string): boolean {
    return this.#runs.some(run => run.runId === runId)
  }

  /** Takes a run that has ended, at a time in ms since 1970. */
  add(runId: string, ends: readonly PartitionEnd[], at: number): void {
    const last = this.#runs.at(-1)
    const endedAt = Math.max(at, last?.endedAt ?? at)
    if (last !== undefined && hourOf(last.endedAt) === hourOf(endedAt)) this.#runs.pop()
    this.#runs.push({ runId, endedAt, ends })
    while ((this.#runs[1]?.endedAt ?? Infinity) <= endedAt - HISTORY_KEPT_MS) this.#runs.shift()
  }

  /** The ends of all runs that are remembered, the oldest first. */
  get all(): readonly (readonly PartitionEnd[])[] {
    return this.#runs.map(({ ends }) => ends)
  }

  /** Returns the ends of the last run that had ended by then; null if there is none. */
  endedBy(at: number): readonly PartitionEnd[] | null {
    return this.#runs.findLast(({ endedAt }) => endedAt <= at)?.ends ?? null
  }
}

function hourOf(at: number): number {
  return Math.floor(at / APART_MS)
}
