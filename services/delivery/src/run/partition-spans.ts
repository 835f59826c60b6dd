/**
 * What one partition of a run went through in renderer and delivery, as spans of the run's trace, once it is
 * over. Delivery has seen when the renderer began and ended.
 */
import type { CountsByOp, OpCounts } from '@sluice/contracts/state'
import type { Attribute, Span } from '@sluice/runtime/traces/span'
import type { PartitionPhases } from './phase-clock.ts'

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
