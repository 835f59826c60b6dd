import { isSluiceError } from '@sluice/contracts/errors'
import type { TopicPartition } from '@sluice/message-log/port'
import { renderBatch, type BatchContext, type Rendered } from '@sluice/rendering/render-batch'
import type { RowBatch } from '@sluice/rendering/row-batches'
import type { CompiledTrigger } from '@sluice/templates/compile'
import { unreadableAt } from '@sluice/topics/owned-reader'
import { noTrigger } from './no-trigger.ts'

/**
 * Renders a batch of changes from `input`. Rows are decoded only now, so a value that cannot be read shows
 * here. Throws `corrupt` then, with the place.
 */
export function renderPlaced(
  batch: RowBatch,
  trigger: CompiledTrigger | undefined,
  of: { readonly context: BatchContext; readonly input: TopicPartition },
): readonly Rendered[] {
  if (trigger === undefined) return noTrigger(batch)
  try {
    return renderBatch(batch, trigger, of.context)
  } catch (error) {
    if (!isSluiceError(error, 'corrupt')) throw error
    throw unreadableAt(of.input, { from: batch.start, to: batch.end - 1 }, error)
  }
}
