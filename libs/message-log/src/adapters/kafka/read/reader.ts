import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { LogRecord, PartitionOffsets, ReadBatch, ReadOptions, TopicPartition } from '../../../port.ts'
import { type Abort, name } from '../cluster.ts'
import { Feed } from './feed.ts'
import type { Fetcher } from './fetcher.ts'

const DEFAULT_BUFFER_BYTES = 4 * 1024 * 1024

/** The parts of the log that a reader needs. */
export interface ReaderContext {
  readonly fetcher: Fetcher
  offsets(target: TopicPartition, options: Abort): Promise<PartitionOffsets>
}

/**
 * Reads forward as the port promises. It rejects an offset out of range before it fetches, since reading on
 * from another offset would lose records without notice.
 */
export async function* readForward(
  context: ReaderContext,
  target: TopicPartition,
  options: ReadOptions,
): AsyncGenerator<ReadBatch, void, void> {
  const { signal, from, to } = options
  const follows = to === undefined
  if (follows && signal.aborted) return
  let feed: Feed | null = null
  try {
    const { low, end } = await context.offsets(target, { signal })
    if (!Number.isSafeInteger(from) || from < low || from > end) throw outOfRange(target, { from, low, end })
    if (to !== undefined && from >= to) return
    feed = new Feed({
      target,
      from,
      to,
      limitBytes: options.bufferBytes ?? DEFAULT_BUFFER_BYTES,
      onHungry: () => context.fetcher.wake(),
    })
    context.fetcher.add(feed)
    for (;;) {
      signal.throwIfAborted()
      const seen = feed.filled.version
      const batch = feed.take()
      if (batch === null) {
        await feed.filled.after(seen, { signal })
        continue
      }
      const wanted = to === undefined ? batch : limitedTo(batch, to)
      yield wanted
      if (to !== undefined && wanted.nextOffset >= to) return
    }
  } catch (error) {
    // A caller that follows the partition ends reading by an abort, so the abort is no failure.
    if (follows && signal.aborted) return
    throw error
  } finally {
    feed?.close()
    context.fetcher.wake()
  }
}

function limitedTo(batch: ReadBatch, to: number): ReadBatch {
  if (batch.nextOffset < to) return batch
  return { records: batch.records.filter(record => record.offset < to), nextOffset: to }
}

function outOfRange(target: TopicPartition, range: { from: number; low: number; end: number }): SluiceError {
  return new SluiceError(
    'offset-out-of-range',
    `${name(target)} holds offsets ${range.low} to ${range.end}, ${range.from} was asked for`,
  )
}

const FIRST_SEGMENT = 32
const MAX_SEGMENT = 4096
const SEGMENT_BYTES = 8 * 1024 * 1024

/**
 * Reads backwards by reading ever longer segments forwards and reversing them. If a segment is too large for
 * memory, it keeps only the last records, and the next segment ends before them. If the low offset rises
 * meanwhile, reading ends there.
 */
export async function* readBackwards(
  context: ReaderContext,
  target: TopicPartition,
  options: Abort & { before?: number },
): AsyncGenerator<LogRecord, void, void> {
  const { signal } = options
  let { low, end } = await context.offsets(target, { signal })
  let before = options.before ?? end
  if (before > end) throw outOfRange(target, { from: before, low, end })
  let length = FIRST_SEGMENT
  while (before > low) {
    const from = Math.max(low, before - length)
    const segment = await lastRecords(context, target, { signal, from, to: before }).catch(unlessTrimmed)
    if (segment === null) {
      ;({ low, end } = await context.offsets(target, { signal }))
      if (from >= low) throw outOfRange(target, { from, low, end })
      continue
    }
    for (const record of segment.kept.toReversed()) yield record
    before = segment.keptFrom
    length = Math.min(length * 4, MAX_SEGMENT)
  }
}

/** Returns null if the segment begins below the low offset. */
function unlessTrimmed(error: unknown): null {
  if (isSluiceError(error, 'offset-out-of-range')) return null
  throw error
}

async function lastRecords(
  context: ReaderContext,
  target: TopicPartition,
  range: { signal: AbortSignal; from: number; to: number },
): Promise<{ kept: LogRecord[]; keptFrom: number }> {
  let kept: LogRecord[] = []
  let keptFrom = range.from
  let bytes = 0
  for await (const { records } of readForward(context, target, { ...range, bufferBytes: SEGMENT_BYTES })) {
    for (const record of records) {
      kept.push(record)
      bytes += sizeOf(record)
    }
    let drop = 0
    while (bytes > SEGMENT_BYTES && drop < kept.length - 1) bytes -= sizeOf(kept[drop++])
    if (drop === 0) continue
    kept = kept.slice(drop)
    keptFrom = kept[0]?.offset ?? keptFrom
  }
  return { kept, keptFrom }
}

const sizeOf = (record: LogRecord | undefined) =>
  record === undefined ? 0 : record.key.length + (record.value?.length ?? 0)
