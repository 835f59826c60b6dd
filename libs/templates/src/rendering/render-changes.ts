/**
 * Renders changes that are not published, as a preview does. It makes the requests that a renderer would make
 * in each partition, in the order of the ops.
 */
import type { Change } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import type { Row } from '@sluice/contracts/values'
import { type Op, OPS } from '@sluice/contracts/state'
import { triggerOf } from '@sluice/domain/definition'
import { compileTrigger, type CompiledTrigger } from '../compile.ts'
import { renderBatch, type BatchContext, type Rendered } from './render-batch.ts'
import { ONE_ROW, RowBatches, type RowBatch } from './row-batches.ts'

/** The compiled triggers of this many definitions are kept. A definition with the same hash never changes. */
const MAX_KEPT = 100
const compiled = new Map<string, ReadonlyMap<Op, CompiledTrigger>>()

/** Returns the triggers as `triggersOf` does, and keeps them by the definition's hash. */
export function compileTriggers(hash: string, definition: Definition): ReadonlyMap<Op, CompiledTrigger> {
  const known = compiled.get(hash)
  if (known !== undefined) return known
  const triggers = triggersOf(definition)
  if (compiled.size >= MAX_KEPT) compiled.clear()
  compiled.set(hash, triggers)
  return triggers
}

/** Compiles the triggers of all ops that have one. Throws `template` if one is wrong. */
export function triggersOf({ sync, destination }: Definition): ReadonlyMap<Op, CompiledTrigger> {
  const destinationHeaders = Object.keys(destination.headers ?? {})
  const triggers = new Map<Op, CompiledTrigger>()
  for (const op of OPS) {
    const spec = triggerOf(sync, op)
    if (spec !== undefined)
      triggers.set(op, compileTrigger(spec, { sync: sync.name, op, destinationHeaders }))
  }
  return triggers
}

/** A change with the partition to which it would be published, and the bytes that it would take there. */
export interface PlacedChange<R = Row> {
  readonly partition: number
  readonly bytes: number
  readonly change: Change<R>
}

/**
 * Renders changes that come sorted by op. Triggers are compiled once for definitions that come with their
 * `hash`.
 */
export type RenderChanges = (
  changes: AsyncIterable<readonly PlacedChange[]>,
  definition: Definition,
  context: BatchContext,
  hash?: string,
) => AsyncGenerator<{ readonly op: Op; readonly rendered: Rendered }>

/** Renders in this thread. */
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
      // A batch never has rows of two ops. Flushing all partitions also keeps the requests of one op
      // together.
      if (op !== current) yield* flush()
      current = op
      const batches =
        partitions.get(partition) ?? new RowBatches(each => triggers.get(each)?.batch ?? ONE_ROW)
      partitions.set(partition, batches)
      yield* render(batches.add(op, { offset: 0, bytes, change }))
    }
  }
  yield* flush()
}
