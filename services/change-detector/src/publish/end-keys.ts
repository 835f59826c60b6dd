/** Tombstones of the detector, in the partitions that it owns. */
import type { EndedKey } from '@sluice/delivered-state/port'
import type { NewRecord } from '@sluice/message-log/port'
import { at, textKey, type SyncTopics } from '@sluice/topics/topics'
import type { SyncOwnership } from '../sync/own-sync.ts'

/** Resolves once the tombstones are acknowledged. */
export async function endKeys(
  ownership: Pick<SyncOwnership, 'owner' | 'topics'>,
  topic: keyof Pick<SyncTopics, 'changes' | 'retry' | 'captured'>,
  of: { readonly keys: readonly EndedKey[]; readonly signal: AbortSignal },
): Promise<void> {
  const byPartition = new Map<number, NewRecord[]>()
  for (const { partition, key } of of.keys) {
    const records = byPartition.get(partition) ?? []
    records.push({ key: textKey(key), value: null })
    byPartition.set(partition, records)
  }
  const { signal } = of
  for (const [partition, records] of byPartition)
    await ownership.owner(partition).append(at(ownership.topics[topic], partition), records, { signal })
}
