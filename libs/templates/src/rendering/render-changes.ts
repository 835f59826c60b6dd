/**
 * Renders the changes of a run that is not published: the requests that a renderer would make in each
 * partition, in the order of the ops.
 */
import type { Change } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import type { Row } from '@sluice/contracts/values'
import type { Op } from '@sluice/contracts/state'
import { OPS } from '@sluice/contracts/state'
import { compileTriggers, triggersOf } from './compile-triggers.ts'
import { renderBatch, type BatchContext, type Rendered } from './render-batch.ts'
import { ONE_ROW, RowBatches, type RowBatch } from './row-batches.ts'

/** A change with the partition that it would stand in, and its size there. */
export interface PlacedChange<R = Row> {
  readonly partition: number
  readonly bytes: number
  readonly change: Change<R>
}

/**
 * Takes changes with all of an op in succession, each with its partition. `hash` is that of the definition.
 */
export type RenderChanges = (
  changes: AsyncIterable<readonly PlacedChange[]>,
  definition: Definition,
  context: BatchContext,
  hash?: string,
) => AsyncGenerator<{ readonly op: Op; readonly rendered: Rendered }>

/** Renders here. */
export async function* renderChanges(
  ...[changes, definition, context, hash]: Parameters<RenderChanges>
): ReturnType<RenderChanges> {
  const triggers = hash === undefined ? triggersOf(definition) : compileTriggers(hash, definition)
  const partitions = new Map<number, RowBatches>()
  function* render(batches: readonly RowBatch[]): Generator<{ op: Op; rendered: Rendered }> {
    for (const batch of batches) {
      const trigger = triggers.get(batch.op)
      if (trigger === undefined) continue
      for (const rendered of renderBatch(batch, trigger, context)) yield { op: batch.op, rendered }
    }
  }
  function* flush(): Generator<{ op: Op; rendered: Rendered }> {
    for (const [, batches] of [...partitions].sort(([a], [b]) => a - b)) yield* render(batches.flush())
  }
  let current: Op | null = null
  for await (const rows of changes) {
    for (const { partition, bytes, change } of rows) {
      const op = OPS.find(candidate => candidate === change.op)
      if (op === undefined) continue
      // In its partition a batch ends with its op in any case. Here this keeps the requests of an op
      // together.
      if (op !== current) yield* flush()
      current = op
      const batches = partitions.get(partition) ?? new RowBatches(of => triggers.get(of)?.batch ?? ONE_ROW)
      partitions.set(partition, batches)
      yield* render(batches.add(op, { offset: 0, bytes, change }))
    }
  }
  yield* flush()
}
