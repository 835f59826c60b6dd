/**
 * What one partition of a run went through in renderer and delivery, as spans of the run's trace, once it is
 * over. Delivery has seen when the renderer began and ended.
 */
import type { CountsByOp, OpCounts } from '@sluice/contracts/state'
import type { Attribute, Span } from '@sluice/runtime/traces/span'
import type { PartitionReport } from '@sluice/contracts/records'

type PartitionPhases = NonNullable<PartitionReport['phases']>

const NONE: PartitionPhases = { renderingFrom: null, renderedAt: null, sendingFrom: null }

/**
 * Notes when the partition of a run reached each phase, for people. The times that an earlier owner reported
 * go on.
 */
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

/** The place of a partition's delivery in the trace. */
export function deliverPlace(partition: number): string {
  return `deliver/${partition}`
}

/** `now` is in ms since 1970. */
export function partitionSpans(of: {
  readonly runId: string
  readonly sync: string
  readonly partition: number
  readonly phases: PartitionPhases | null
  readonly counts: CountsByOp
  readonly error: string | null
  readonly now: number
}): readonly Span[] {
  const { runId, sync, partition, phases, counts, error, now } = of
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
    ...{ ...common, place: deliverPlace(partition), name: 'deliver' },
    ...{ from: sendingFrom ?? renderedAt ?? now, to: now, error },
    attributes: { ...attributes, ...sums(counts) },
  }
  return [...render, deliver]
}

function sums(counts: CountsByOp): { readonly [name: string]: Attribute } {
  const of = (name: keyof OpCounts): number =>
    Object.values(counts).reduce((sum, counted) => sum + counted[name], 0)
  const names = ['delivered', 'rejected', 'unknown', 'unsent', 'requests', 'attempts'] as const
  return Object.fromEntries(names.map(name => [`sluice.${name}`, of(name)]))
}
