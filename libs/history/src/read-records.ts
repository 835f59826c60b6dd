/** Records of a sync's topics by their offsets, read in ranges and not one by one. */
import type { Request, Unrenderable } from '@sluice/contracts/records'
import type { MessageLog } from '@sluice/message-log/port'
import { decodeEach, type Placed } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { at, syncTopics } from '@sluice/topics/topics'
import type { FollowedTopic, SyncLife } from './port.ts'

/** Offsets that are no further apart are read in one range. */
const MAX_GAP = 64
/** At most this many ranges are read at once. */
const MAX_AT_ONCE = 8
const READ_AHEAD_BYTES = 1024 * 1024

export interface TopicsDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
}

/** A partition of a sync's topics. */
export interface SyncPartition extends SyncLife {
  readonly partition: number
}

export interface HeldRequest {
  readonly value: Request | Unrenderable
  /** The time at which the log appended it, in ms since 1970. */
  readonly timestamp: number
}

/**
 * The records at these offsets that are still held and can be read, by offset. `pick` takes from each what
 * the caller needs, so that no more stays in memory. A record for which it returns undefined is left out.
 */
export async function readRecords<T>(
  deps: TopicsDeps,
  records: SyncPartition & {
    readonly topic: FollowedTopic | 'requests'
    readonly offsets: readonly number[]
    readonly pick: (placed: Placed) => T | undefined
  },
  signal: AbortSignal,
): Promise<ReadonlyMap<number, T>> {
  const { log, io, prefix } = deps
  const { sync, partition, topic, offsets, pick } = records
  const target = at(syncTopics(prefix, sync)[topic], partition)
  const found = new Map<number, T>()
  if (offsets.length === 0) return found
  const { low, end } = await log.offsets(target, { signal })
  const wanted = new Set(offsets.filter(offset => offset >= low && offset < end))
  const read = async ({ from, to }: OffsetRange): Promise<void> => {
    for await (const batch of log.read(target, { from, to, bufferBytes: READ_AHEAD_BYTES, signal })) {
      const held = batch.records.filter(({ offset }) => wanted.has(offset))
      for (const placed of await decodeEach(io, held, signal)) {
        const picked = pick(placed)
        if (picked !== undefined) found.set(placed.offset, picked)
      }
    }
  }
  const ranges = rangesOf([...wanted])
  for (let i = 0; i < ranges.length; i += MAX_AT_ONCE)
    await Promise.all(ranges.slice(i, i + MAX_AT_ONCE).map(read))
  return found
}

/** The requests at these offsets of `requests` that are still held, by offset. */
export async function readRequests<T>(
  deps: TopicsDeps,
  requests: SyncPartition & {
    readonly offsets: readonly number[]
    readonly pick: (held: HeldRequest) => T
  },
  signal: AbortSignal,
): Promise<ReadonlyMap<number, T>> {
  const { pick, ...place } = requests
  const pickRequest = ({ record, timestamp }: Placed): T | undefined => {
    if (record?.name !== 'sluice.Request' && record?.name !== 'sluice.Unrenderable') return undefined
    if (record.value.incarnation !== requests.incarnation) return undefined
    return pick({ value: record.value, timestamp })
  }
  return await readRecords(deps, { ...place, topic: 'requests', pick: pickRequest }, signal)
}

/** Offsets from the first, inclusive, to the second, exclusive. */
interface OffsetRange {
  readonly from: number
  readonly to: number
}

/** Ranges that hold all of these offsets, in order. */
function rangesOf(offsets: readonly number[]): readonly OffsetRange[] {
  const ranges: { from: number; to: number }[] = []
  for (const offset of [...offsets].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last !== undefined && offset - last.to < MAX_GAP) last.to = Math.max(last.to, offset + 1)
    else ranges.push({ from: offset, to: offset + 1 })
  }
  return ranges
}
