/** Where to begin to read a shared topic, by the hint that the owner before has committed. */
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'

/**
 * The hint, kept within what the topic holds, and the topic's end. A hint may be missing, older than the
 * first record, or of a topic that was made again. So it saves reading, and nothing relies on it.
 */
export async function hintedStart(
  log: MessageLog,
  { group, target }: { readonly group: string; readonly target: TopicPartition },
  signal: AbortSignal,
): Promise<{ readonly from: number; readonly end: number }> {
  const { low, end } = await log.offsets(target, { signal })
  const hints = await log.committed(group, target.topic, { signal })
  return { from: Math.min(Math.max(hints[target.partition] ?? low, low), end), end }
}
