/** The topics and rights that syncs need on Kafka. */
import type { TopicsView } from '@sluice/contracts/operator-views'
import type { Control } from '../port.ts'
import { settingsOf } from '@sluice/message-log/kafka-settings'
import { neededRights } from '@sluice/topics/needed-rights'
import { sharedTopicSpecs, syncTopicSpecs } from '@sluice/topics/topics'
import { z } from 'zod'

const PAGE = 1_000
const partitionsOf = z.object({ partitions: z.int() })

export interface NeedingSync {
  readonly name: string
  readonly partitions: number
}

export function topicsNeeded(
  syncs: readonly NeedingSync[],
  {
    prefix,
    replication,
    creates,
  }: { readonly prefix: string; readonly replication: number | null; readonly creates: boolean },
): TopicsView {
  const own = syncs.flatMap(({ name, partitions }) => syncTopicSpecs(prefix, name, partitions))
  const names = syncs.map(({ name }) => name)
  return {
    prefix,
    topics: [...sharedTopicSpecs(prefix), ...own].map(spec => ({
      topic: spec.topic,
      partitions: spec.partitions,
      replication,
      settings: { ...settingsOf(spec, replication) },
    })),
    rights: neededRights(prefix, names, { creates }).map(right => ({
      ...right,
      operations: [...right.operations],
    })),
  }
}

/** All syncs with their partitions. */
export async function syncsNeeding(control: Control, signal: AbortSignal): Promise<readonly NeedingSync[]> {
  const found: NeedingSync[] = []
  for (let after: string | undefined; ;) {
    const { resources, next } = await control.call('listResources', { limit: PAGE, after }, { signal })
    for (const { kind, name, spec } of resources)
      if (kind === 'sync') found.push({ name, ...partitionsOf.parse(spec) })
    if (next === null) return found
    after = next
  }
}
