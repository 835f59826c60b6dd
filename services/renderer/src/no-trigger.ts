import type { Rendered } from '@sluice/rendering/render-batch'
import type { RowBatch } from '@sluice/rendering/row-batches'

/**
 * The rows of an op without a trigger. The detector settles such rows, so this definition does not fit its
 * changes.
 */
export function noTrigger(batch: RowBatch): Rendered[] {
  const error = `the sync has no trigger ${batch.op}`
  const rows = batch.changes.map(change => ({
    key: change.key,
    seq: change.seq,
    op: batch.op,
    uncertain: false,
    captured: change.captured,
    retried: change.retried,
    named: null,
  }))
  return [{ kind: 'unrenderable', error, lacks: null, rows }]
}
