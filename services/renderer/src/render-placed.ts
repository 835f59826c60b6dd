/** Renders a batch of changes, or rejects its rows unrendered. */
import { isSluiceError } from '@sluice/contracts/errors'
import type { TopicPartition } from '@sluice/message-log/port'
import {
  renderBatch,
  requestRow,
  type BatchContext,
  type Rendered,
} from '@sluice/templates/rendering/render-batch'
import type { RowBatch } from '@sluice/templates/rendering/row-batches'
import type { CompiledTrigger } from '@sluice/templates/compile'
import { unreadableAt } from '@sluice/topics/owned-reader'

/**
 * Renders a batch of changes from `input`. Rows are decoded only now. Throws `corrupt` with the place for a
 * value that cannot be read, and a `SlowRender` as `renderBatch` does.
 */
export function renderPlaced(
  batch: RowBatch,
  trigger: CompiledTrigger | undefined,
  { context, input }: { readonly context: BatchContext; readonly input: TopicPartition },
): readonly Rendered[] {
  // The detector settles rows that have no trigger. So this definition does not fit these changes.
  if (trigger === undefined) return notRendered(batch, `the sync has no trigger ${batch.op}`)
  try {
    return renderBatch(batch, trigger, context)
  } catch (error) {
    if (!isSluiceError(error, 'corrupt')) throw error
    throw unreadableAt(input, { from: batch.start, to: batch.end - 1 }, error)
  }
}

/**
 * Renders a batch in a thread. Rejects with `too-large` if the batch takes more memory than the thread has.
 */
export type RenderAlone = (batch: RowBatch) => Promise<readonly Rendered[]>

/**
 * After this many failures, the other rows of the batch are rejected unrendered. Each failure may take
 * seconds.
 */
const MAX_TOO_LARGE = 64

/** Renders a batch, in halves if it takes too much memory, so that only the rows at fault are rejected. */
export async function renderDivided(
  batch: RowBatch,
  render: RenderAlone,
  tooLarge = { count: 0 },
): Promise<readonly Rendered[]> {
  try {
    return await render(batch)
  } catch (error) {
    if (!isSluiceError(error, 'too-large')) throw error
    tooLarge.count += 1
    const { changes } = batch
    if (changes.length === 1 || tooLarge.count >= MAX_TOO_LARGE) return notRendered(batch, error.message)
    const middle = Math.ceil(changes.length / 2)
    const rendered: Rendered[] = []
    for (const half of [changes.slice(0, middle), changes.slice(middle)])
      rendered.push(...(await renderDivided({ ...batch, changes: half }, render, tooLarge)))
    return rendered
  }
}

/** Rejects the rows of a batch without decoding them. */
export function notRendered({ op, changes }: RowBatch, error: string): readonly Rendered[] {
  const rows = changes.map(change => requestRow(op, change))
  return [{ kind: 'unrenderable', error, lacks: null, rows }]
}
