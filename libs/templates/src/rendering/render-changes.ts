/**
 * Renders the changes of a run that is not published: the requests that a renderer would make in each
 * partition, in the order of the ops.
 */
import type { Change } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import type { Row } from '@sluice/contracts/values'
import { type Op, OPS } from '@sluice/contracts/state'
import { triggerOf } from '@sluice/domain/definition'
import { compileTrigger, type CompiledTrigger } from '../compile.ts'
import { renderBatch, type BatchContext, type Rendered } from './render-batch.ts'
import { ONE_ROW, RowBatches, type RowBatch } from './row-batches.ts'

/** The compiled triggers of a definition, kept by its hash: a definition never changes. */
const KEPT = 100
const compiled = new Map<string, ReadonlyMap<Op, CompiledTrigger>>()

export function compileTriggers(hash: string, definition: Definition): ReadonlyMap<Op, CompiledTrigger> {
  const known = compiled.get(hash)
  if (known !== undefined) return known
  const triggers = triggersOf(definition)
  if (compiled.size >= KEPT) compiled.clear()
  compiled.set(hash, triggers)
  return triggers
}

/** Compiles the triggers that render requests. Throws `template` where one is wrong. */
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
