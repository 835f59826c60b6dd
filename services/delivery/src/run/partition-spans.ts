/**
 * Makes the spans of one partition in a run's trace, once the run is over there. Delivery makes the spans of
 * the renderer too, since it has seen when the renderer began and ended.
 */
import type { CountsByOp, OpCounts } from '@sluice/contracts/state'
import type { Attribute, Span } from '@sluice/runtime/traces/span'
import type { PartitionReport } from '@sluice/contracts/records'

type PartitionPhases = NonNullable<PartitionReport['phases']>

const NONE: PartitionPhases = { renderingFrom: null, renderedAt: null, sendingFrom: null }

/**
 * Notes when the partition of a run reached each phase. It keeps the times that an earlier owner reported.
 */
export class PhaseClock {
  readonly #lastReport: () => PartitionReport | undefined
  #run: number | null = null
  #times = NONE

  /** `lastReport` returns the last report of the partition. */
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

  /** Returns the times of this run; null if it is not the current one. */
  timesOf(run: number): PartitionPhases | null {
    return run === this.#run ? this.#times : null
  }
}

/** Returns the place of a partition's delivery in the trace. */
export function deliverySpanPlace(partition: number): string {
  return `deliver/${partition}`
}

/** `now` is in ms since 1970. */
export function partitionSpans({
  runId,
  sync,
  partition,
  phases,
  counts,
  error,
  now,
}: {
  readonly runId: string
  readonly sync: string
  readonly partition: number
  readonly phases: PartitionPhases | null
  readonly counts: CountsByOp
  readonly error: string | null
  readonly now: number
}): readonly Span[] {
  const { renderingFrom = null, renderedAt = null, sendingFrom = null } = phases ?? {}
  const common = { runId, parent: '' }
  const attributes = { 'sluice.sync': sync, 'sluice.partition': partition }
  const render: Span[] =
    renderingFrom === null
      ? []
      : [
          {
            ...{ ...common, place: `render/${partition}`, name: 'render', attributes },
            ...{ from: renderingFrom, to: renderedAt ?? now, error: renderedAt === null ? error : null },
          },
        ]
  const deliver: Span = {
    ...{ ...common, place: deliverySpanPlace(partition), name: 'deliver' },
    ...{ from: sendingFrom ?? renderedAt ?? now, to: now, error },
    attributes: { ...attributes, ...sums(counts) },
  }
  return [...render, deliver]
}

function sums(counts: CountsByOp): { readonly [name: string]: Attribute } {
  const sumOf = (name: keyof OpCounts): number =>
    Object.values(counts).reduce((sum, counted) => sum + counted[name], 0)
  const names = ['delivered', 'rejected', 'unknown', 'unsent', 'requests', 'attempts'] as const
  return Object.fromEntries(names.map(name => [`sluice.${name}`, sumOf(name)]))
}
