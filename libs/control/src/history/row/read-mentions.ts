/** The records of a sync's topics about one key. */
import type { Captured, RetryEntry, Change } from '@sluice/contracts/records'
import type { FollowedTopic, HistoryReader, SyncLife } from '@sluice/history/port'
import { readRecords, type TopicsDeps } from '@sluice/history/read-records'
import type { Placed } from '@sluice/topics/owned-reader'
import { textKey } from '@sluice/topics/topics'

/** At most this many records of one key are read, the latest ones. */
const MAX_MENTIONS = 500

export interface PlacedRecord<T> {
  readonly value: T
  readonly partition: number
  /** The time at which the log appended it, in ms since 1970. */
  readonly at: number
}

export interface MentionedRecords {
  /** In the order of each partition. */
  readonly changes: readonly PlacedRecord<Change>[]
  /** The entries of `retry` that are open, by partition. */
  readonly retry: ReadonlyMap<number, PlacedRecord<RetryEntry>>
  /** The last captured values of each partition. */
  readonly captured: readonly PlacedRecord<Captured>[]
  /** True if a tombstone says that the key is gone and forgotten. */
  readonly isForgotten: boolean
  /** True if there are more records than were read. */
  readonly more: boolean
}

interface Mentioned {
  readonly topic: Exclude<FollowedTopic, 'attempts'>
  readonly partition: number
  readonly offset: number
}

type Found = Mentioned & { readonly placed: Placed }

export async function readMentions(
  deps: TopicsDeps,
  reader: HistoryReader,
  row: SyncLife & { readonly key: string },
  signal: AbortSignal,
): Promise<MentionedRecords> {
  const places = await reader.mentions({ ...row, limit: MAX_MENTIONS }, { signal })
  const mentioned = places.flatMap(({ place: { topic, partition }, offset }): readonly Mentioned[] =>
    topic === 'attempts' ? [] : [{ topic, partition, offset }],
  )
  const found = await recordsAt(deps, { ...row, mentioned }, signal)
  return { ...sorted(found, row), more: mentioned.length >= MAX_MENTIONS }
}

/** The records that are still held, in the order of each partition. */
async function recordsAt(
  deps: TopicsDeps,
  row: SyncLife & { readonly mentioned: readonly Mentioned[] },
  signal: AbortSignal,
): Promise<readonly Found[]> {
  const places = Map.groupBy(row.mentioned, ({ topic, partition }) => `${topic}/${partition}`)
  const found = await Promise.all(
    [...places.values()].map(async some => {
      const [first] = some
      if (first === undefined) return []
      const offsets = some.map(({ offset }) => offset)
      const pick = (placed: Placed): Placed => placed
      const records = await readRecords(deps, { ...row, ...first, offsets, pick }, signal)
      return [...records.values()]
        .toSorted((a, b) => a.offset - b.offset)
        .map(placed => ({ ...first, offset: placed.offset, placed }))
    }),
  )
  return found.flat()
}

function sorted(
  found: readonly Found[],
  { key, incarnation }: SyncLife & { readonly key: string },
): Omit<MentionedRecords, 'more'> {
  const changes: PlacedRecord<Change>[] = []
  const retry = new Map<number, PlacedRecord<RetryEntry>>()
  const captured = new Map<number, PlacedRecord<Captured>>()
  let isForgotten = false
  const wanted = Buffer.from(textKey(key))
  for (const { topic, partition, placed } of found) {
    const { record, timestamp: appended, torn } = placed
    // Another key may have the same hash in the index.
    if (torn !== undefined || !wanted.equals(placed.key)) continue
    const place = { partition, at: appended }
    if (record === null) {
      if (topic === 'retry') retry.delete(partition)
      else if (topic === 'captured') captured.delete(partition)
      else isForgotten = true
    } else if (record.name === 'sluice.Change' && record.value.incarnation === incarnation)
      changes.push({ ...place, value: record.value })
    else if (record.name === 'sluice.RetryEntry' && record.value.incarnation === incarnation)
      retry.set(partition, { ...place, value: record.value })
    else if (record.name === 'sluice.Captured' && record.value.incarnation === incarnation)
      captured.set(partition, { ...place, value: record.value })
  }
  return { changes, retry, captured: [...captured.values()], isForgotten }
}
