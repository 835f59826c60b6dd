/** Counts the rows that were finished in the last ten seconds. */
import type { Lately } from '@sluice/contracts/records'
import { OPS, type CountsByOp } from '@sluice/contracts/state'
import { countsOf } from '@sluice/domain/counts'

const WINDOW_MS = 10_000
/** Rows that are finished within this time count as finished together. */
const STEP_MS = 250
/** A shorter time counts as this long, since it says too little about the speed. */
const LEAST_MS = 1_000

interface Counted {
  readonly atMs: number
  delivered: number
  failed: number
}

export class FinishedLately {
  readonly #nowMs: () => number
  /** The time at which the first request was taken into work; null before. */
  #sinceMs: number | null = null
  #steps: Counted[] = []

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** Begins a run. */
  clear(): void {
    this.#sinceMs = null
    this.#steps = []
  }

  /** Takes a request into work. */
  took(): void {
    this.#sinceMs ??= this.#nowMs()
  }

  /** Takes the rows of a request that is finished. Rows that nobody tried to send do not count. */
  finished(counts: CountsByOp): void {
    const now = this.#nowMs()
    const last = this.#steps.at(-1)
    const step =
      last !== undefined && now - last.atMs < STEP_MS ? last : { atMs: now, delivered: 0, failed: 0 }
    if (step !== last) this.#steps.push(step)
    for (const op of OPS) {
      const { delivered, rejected, unknown, unsent, attempts } = countsOf(counts, op)
      step.delivered += delivered
      step.failed += rejected + unknown + (attempts > 0 ? unsent : 0)
    }
    this.#dropOld(now)
  }

  /** The rows of the last ten seconds, or since the first request if that is less. Null before that. */
  get rows(): Omit<Lately, 'at'> | null {
    if (this.#sinceMs === null) return null
    const now = this.#nowMs()
    this.#dropOld(now)
    const sums = { delivered: 0, failed: 0 }
    for (const { delivered, failed } of this.#steps) {
      sums.delivered += delivered
      sums.failed += failed
    }
    return { ...sums, forMs: Math.round(Math.min(WINDOW_MS, Math.max(LEAST_MS, now - this.#sinceMs))) }
  }

  #dropOld(now: number): void {
    const kept = this.#steps.findIndex(({ atMs }) => atMs > now - WINDOW_MS)
    if (kept !== 0) this.#steps = kept < 0 ? [] : this.#steps.slice(kept)
  }
}
