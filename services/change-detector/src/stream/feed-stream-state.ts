/**
 * Brings the state by key up to date from its topics, before a run. All earlier runs have ended, so the
 * outcome of each change is known once `retry` and `captured` are read to their ends. A cache that does not
 * fit the topics is built again (PROTOCOL.md §3).
 */
import type { Fault, RetryEntry } from '@sluice/contracts/records'
import type { StreamedChange, StreamState } from '@sluice/delivered-state/stream-port'
import type { PlacedTombstone } from '@sluice/delivered-state/port'
import {
  capturedValues,
  entryOfLost,
  findMismatch,
  findRanges,
  placedChanges,
  rangesOf,
  readWhole,
  retryEntries,
  unknownFromIn,
  type FeedOptions,
} from '../detect/feed-state.ts'

/** Rejects as state and log do. */
export async function feedStreamState(
  state: StreamState,
  options: Omit<FeedOptions, 'beforeRows'>,
): Promise<void> {
  const mismatch = await findMismatch(state.positions(), options)
  if (mismatch !== null) state.reset()
  const isEmpty = state.positions().changes.every(position => position === 0)
  const why = mismatch ?? (isEmpty ? (options.whyEmpty ?? null) : null)
  const ranges = await findRanges(state.positions(), options)
  const of = ranges.reduce((sum, { from, end }) => sum + Math.max(0, end - from), 0)
  let read = 0
  const onRead = async (records: number): Promise<void> => {
    read += records
    await options.onProgress?.({ why, records: read, of })
  }
  await onRead(0)
  for (let partition = 0; partition < options.partitions; partition += 1) {
    const { retry, captured, changes } = rangesOf(ranges, partition)
    const reading = { ...options, onRead }
    for await (const { records, nextOffset } of readWhole(retry, 'attempts', reading))
      state.take({ partition, retry: { records: retryEntries(records), nextOffset } })
    for await (const { records, nextOffset } of readWhole(captured, 'attempts', reading))
      state.take({ partition, captured: { records: capturedValues(records), nextOffset } })
    const unknownFrom = unknownFromIn(partition, options.faults)
    for await (const { records, nextOffset } of readWhole(changes, 'changes', reading)) {
      const placed = placedChanges(records)
      const lost = lostIn(placed, unknownFrom)
      state.take({ partition, lost, changes: { records: placed, nextOffset } })
    }
  }
  const fedFor = options.fedFor?.()
  if (fedFor !== undefined) state.take({ partition: 0, fedFor })
}

const EVERY_FAILED = {
  kind: 'retry',
  upTo: Number.MAX_SAFE_INTEGER,
  upToSlices: null,
  key: null,
  status: null,
} as const
const PAGE = 1_000

/**
 * Returns the faults that still concern a key: its last change is of the fault. Not even a rebuild needs the
 * others. The columns of the state must be set.
 */
export function openFaults(state: Pick<StreamState, 'meant'>, faults: readonly Fault[]): readonly Fault[] {
  const last = new Map<string, number>()
  let page = faults.length === 0 ? [] : state.meant(EVERY_FAILED, null, PAGE)
  for (; page.length > 0; page = state.meant(EVERY_FAILED, page.at(-1)?.key ?? null, PAGE))
    for (const { partition, run, seq } of page)
      last.set(`${partition}/${run}`, Math.max(seq, last.get(`${partition}/${run}`) ?? 0))
  return faults.filter(({ partition, run, from }) => (last.get(`${partition}/${run}`) ?? -1) >= from)
}

/** The entries of changes whose fate is unknown because of a fault. The last change of each key counts. */
function lostIn(
  placed: readonly (StreamedChange | PlacedTombstone)[],
  unknownFrom: ReadonlyMap<number, number>,
): readonly { readonly key: string; readonly value: RetryEntry }[] {
  const lost = new Map<string, RetryEntry>()
  if (unknownFrom.size === 0) return []
  for (const record of placed) {
    const { change } = record
    const key = change === null ? record.key : change.key
    const entry = change === null ? null : entryOfLost(change, unknownFrom)
    if (entry === null) lost.delete(key)
    else lost.set(key, entry)
  }
  return [...lost].map(([key, value]) => ({ key, value }))
}
