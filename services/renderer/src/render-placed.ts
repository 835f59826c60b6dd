/** Renders a batch of changes, or says why its rows are not rendered. */
import { isSluiceError } from '@sluice/contracts/errors'
import type { TopicPartition } from '@sluice/message-log/port'
import { renderBatch, type BatchContext, type Rendered } from '@sluice/templates/rendering/render-batch'
import type { RowBatch } from '@sluice/templates/rendering/row-batches'
import type { CompiledTrigger } from '@sluice/templates/compile'
import { unreadableAt } from '@sluice/topics/owned-reader'

/**
 * Renders a batch of changes from `input`. Rows are decoded only now, so a value that cannot be read shows
 * here. Throws `corrupt` then, with the place.
 */
export function renderPlaced(
  batch: RowBatch,
  trigger: CompiledTrigger | undefined,
  of: { readonly context: BatchContext; readonly input: TopicPartition },
): readonly Rendered[] {
  // The detector settles such rows, so this definition does not fit its changes.
  if (trigger === undefined) return notRendered(batch, `the sync has no trigger ${batch.op}`)
  try {
    return renderBatch(batch, trigger, of.context)
  } catch (error) {
    if (!isSluiceError(error, 'corrupt')) throw error
    throw unreadableAt(of.input, { from: batch.start, to: batch.end - 1 }, error)
  }
}

/** Rejects with `too-large` if the batch takes more memory than there is. */
export type RenderAlone = (batch: RowBatch) => Promise<readonly Rendered[]>

/** After so many, the other rows of the batch are not tried: each try takes up to seconds. */
const MAX_TOO_LARGE = 64

/** Renders a batch, in halves where it takes too much memory. So a row that does costs no other row. */
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

/** Rows that are not rendered, and not even decoded. */
export function notRendered(batch: RowBatch, error: string): readonly Rendered[] {
  const rows = batch.changes.map(({ key, seq, beforeState, captured, retried }) => {
    const uncertain = beforeState === 'content-uncertain' || beforeState === 'existence-uncertain'
    return { key, seq, op: batch.op, uncertain, captured, retried, named: null }
  })
  return [{ kind: 'unrenderable', error, lacks: null, rows }]
}
