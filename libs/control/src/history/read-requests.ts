/** Requests by their offsets, read in ranges and not one by one. */
import type { Request, Unrenderable } from '@sluice/contracts/records'
import { readOwned } from '@sluice/topics/owned-reader'
import { at, syncTopics } from '@sluice/topics/topics'
import type { HistoryDeps } from './history-deps.ts'

/** Offsets that are no further apart are read together with what stands between them. */
const NEAR = 64
/** Most ranges that are read at once. */
const AT_ONCE = 8

export interface HeldRequest {
  readonly value: Request | Unrenderable
  /** When the log appended it, in ms since 1970. */
  readonly timestamp: number
}

/** A partition of a sync's topics. */
export interface SyncPartition {
  readonly sync: string
  readonly incarnation: string
  readonly partition: number
}

/** The requests at these offsets of `requests` that are still held, by offset. */
export async function readRequests(
  deps: HistoryDeps,
  of: SyncPartition & { readonly offsets: readonly number[] },
  signal: AbortSignal,
): Promise<ReadonlyMap<number, HeldRequest>> {
  const { log, io, prefix } = deps
  const { sync, incarnation, partition, offsets } = of
  const target = at(syncTopics(prefix, sync).requests, partition)
  const { low, end } = await log.offsets(target, { signal })
  const wanted = new Set(offsets.filter(offset => offset >= low && offset < end))
  const found = new Map<number, HeldRequest>()
  const read = async ({ from, to }: Range): Promise<void> => {
    const reading = { log, io, target, incarnation, stage: 'requests', signal, yieldsTorn: true } as const
    for await (const { records } of readOwned({ ...reading, from, to }))
      for (const { offset, record, timestamp } of records)
        if (
          wanted.has(offset) &&
          (record?.name === 'sluice.Request' || record?.name === 'sluice.Unrenderable')
        )
          found.set(offset, { value: record.value, timestamp })
  }
  const ranges = rangesOf([...wanted])
  for (let i = 0; i < ranges.length; i += AT_ONCE) await Promise.all(ranges.slice(i, i + AT_ONCE).map(read))
  return found
}

/** Offsets from the first, inclusive, to the second, exclusive. */
interface Range {
  readonly from: number
  readonly to: number
}

/** Ranges that hold all of these offsets, in order. */
function rangesOf(offsets: readonly number[]): readonly Range[] {
  const ranges: { from: number; to: number }[] = []
  for (const offset of [...offsets].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last !== undefined && offset - last.to < NEAR) last.to = Math.max(last.to, offset + 1)
    else ranges.push({ from: offset, to: offset + 1 })
  }
  return ranges
}
