/**
 * Brings the delivered state up to date from its topics. A cache that does not fit the topics is built again
 * (PROTOCOL.md §3).
 */
import type {
  DeliveredState,
  FedFor,
  Keyed,
  PlacedChange,
  PlacedTombstone,
  StateFeed,
  StatePositions,
} from '@sluice/delivered-state/port'
import type { Captured, Fault, Restoring, RetryEntry } from '@sluice/contracts/records'
import { SluiceError } from '@sluice/contracts/errors'
import { TOMBSTONES_KEPT_MS, type MessageLog, type TopicPartition } from '@sluice/message-log/port'
import { ownRecordAt, readOwned, type Placed } from '@sluice/topics/owned-reader'
import type { RecordIo } from '@sluice/topics/record-io'
import { at, isMarkerKey, keyText, type StageName, type SyncTopics } from '@sluice/topics/topics'

export interface FeedOptions {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly topics: SyncTopics
  readonly partitions: number
  readonly incarnation: string
  /** Changes whose fate is not known. The state takes them in as unknown, whatever `retry` says. */
  readonly faults: readonly Fault[]
  /** The run that the state is fed for, and the time; absent for a state that is not kept. */
  readonly fedFor?: () => FedFor
  /**
   * The reason for a rebuild without a mismatch: why the state may be empty though the sync has run before.
   */
  readonly whyEmpty?: string
  /** Called before the first record, after each batch, and before the records are merged. */
  readonly onProgress?: (progress: Restoring) => Promise<void>
  /** Awaited before anything but markers is fed, since a merge may need much memory. */
  readonly beforeRows?: () => Promise<void>
  readonly signal: AbortSignal
}

/**
 * If other processes were at work after a cache was written, the state trusts the cache for this time.
 * Compacted topics keep a tombstone for a little longer, since clocks differ. Later the topics may no longer
 * say which keys have ended.
 */
const TRUSTED_MS = TOMBSTONES_KEPT_MS - 4 * 3_600_000

/**
 * The search for a record that is no marker reads at most this many records. If there are more, they count as
 * rows without a search. (A run without changes writes five markers to each partition.)
 */
const FEW_RECORDS = 250

/**
 * Feeds the state with all records that it has not seen. Every run in the topics must have ended and be
 * reported. Resolves with the faults that still make a change unknown. Rejects as log and state do.
 */
export async function feedState(state: DeliveredState, options: FeedOptions): Promise<readonly Fault[]> {
  const { beforeRows } = options
  let found = await lookAt(state, options)
  if (beforeRows !== undefined && (await hasRows(found, options))) {
    await beforeRows()
    // The wait may have taken hours, and tombstones may have gone meanwhile.
    found = await lookAt(state, options)
  }
  const { why, ranges, lastOfKept } = found
  if (lastOfKept !== null) state.feedKept(lastOfKept)
  let read = 0
  const onRead = async (records: number): Promise<void> => {
    read += records
    await options.onProgress?.({ why, records: read, of: found.records })
  }
  await onRead(0)
  for (let partition = 0; partition < options.partitions; partition += 1)
    await feedPartition(state, rangesOf(ranges, partition), { ...options, onRead })
  await onRead(0)
  await state.commit({ signal: options.signal, fedFor: options.fedFor?.() })
  return options.faults.length === 0 ? [] : openFaults(options.faults, await state.lastUncertain())
}

/**
 * Returns the faults that still concern an uncertain row. Each key of the other faults has a later change in
 * its partition, so not even a rebuild needs these faults again. So a sync has no more faults than uncertain
 * rows, though it may have an invalid row in each run.
 */
function openFaults(
  faults: readonly Fault[],
  lastUncertain: Awaited<ReturnType<DeliveredState['lastUncertain']>>,
): readonly Fault[] {
  const last = new Map(lastUncertain.map(({ partition, run, seq }) => [`${partition}/${run}`, seq]))
  return faults.filter(({ partition, run, from }) => (last.get(`${partition}/${run}`) ?? -1) >= from)
}

/** The records that the state is to be fed with. */
interface Wanted {
  /** The reason why the state is empty; null if it is not. */
  readonly why: string | null
  readonly ranges: readonly Range[]
  /** The ranges have at most this many records. */
  readonly records: number
  /** The last changes of the run whose rows the state has kept, if these take the place of its changes. */
  readonly lastOfKept: StatePositions['lastChange'] | null
}

/** Finds the records to feed. Empties a state that does not fit its topics. */
async function lookAt(state: DeliveredState, options: FeedOptions): Promise<Wanted> {
  let positions = await state.positions()
  const mismatch = await findMismatch(positions, options)
  if (mismatch !== null) {
    await state.reset()
    positions = await state.positions()
  }
  const lastOfKept = await lastOfConfirmed(positions, options)
  if (positions.kept !== null && lastOfKept !== null)
    positions = { ...positions, changes: positions.kept.partitions.map(({ end }) => end) }
  const why = mismatch ?? (isEmpty(positions) ? (options.whyEmpty ?? null) : null)
  const ranges = await findRanges(positions, options)
  const records = ranges.reduce((sum, { from, end }) => sum + Math.max(0, end - from), 0)
  return { why, ranges, records, lastOfKept }
}

/** False only if the records are few and all of them are markers. */
async function hasRows(wanted: Wanted, { log, signal }: FeedOptions): Promise<boolean> {
  if (wanted.records > FEW_RECORDS) return true
  for (const { target, from, end } of wanted.ranges)
    if (from < end)
      for await (const { records } of log.read(target, { from, to: end, signal }))
        if (records.some(({ key }) => !isMarkerKey(key))) return true
  return false
}

function isEmpty({ changes }: StatePositions): boolean {
  return changes.every(position => position === 0)
}

/**
 * The topics, in the order in which they are read. `retry` comes before `captured`, since delivery writes the
 * values of one run before the entries of the next, also for a run that ended before its partition was done
 * (PROTOCOL.md §11). So reading `captured` last finds all values that were written before the entries.
 */
const TOPICS = ['changes', 'retry', 'captured'] as const
type TopicName = (typeof TOPICS)[number]

/** The range of offsets to be read in one partition of a topic, `end` not included. */
interface Range {
  readonly name: TopicName
  readonly target: TopicPartition
  readonly from: number
  readonly end: number
}

export async function findRanges(positions: StatePositions, options: FeedOptions): Promise<readonly Range[]> {
  const { log, topics, partitions, signal } = options
  const found: Range[] = []
  for (let partition = 0; partition < partitions; partition += 1)
    for (const name of TOPICS) {
      const target = at(topics[name], partition)
      const { low, end } = await log.offsets(target, { signal })
      found.push({ name, target, from: Math.max(positions[name][partition] ?? 0, low), end })
    }
  return found
}

export function rangesOf(
  ranges: readonly Range[],
  partition: number,
): { readonly [name in TopicName]: Range } {
  const find = (name: TopicName): Range => {
    const found = ranges.find(range => range.name === name && range.target.partition === partition)
    if (found === undefined) throw new SluiceError('internal', `no range of ${name}/${partition}`)
    return found
  }
  return { changes: find('changes'), retry: find('retry'), captured: find('captured') }
}

/** Returns why the cache does not fit the topics; null if it does. */
export async function findMismatch(positions: StatePositions, options: FeedOptions): Promise<string | null> {
  const { log, topics, partitions, signal } = options
  const { fedFor } = positions
  if (fedFor !== null && isOutdated(fedFor, options))
    return `its cache was left alone since run ${fedFor.run}, for longer than tombstones stay in its topics`
  for (let partition = 0; partition < partitions; partition += 1) {
    for (const name of TOPICS) {
      const position = positions[name][partition] ?? 0
      if (position === 0) continue
      const { low, end } = await log.offsets(at(topics[name], partition), { signal })
      if (position < low || position > end)
        return `its cache does not fit its topics: offset ${position} of ${topics[name]}/${partition} lies outside of ${low} to ${end}`
    }
    const last = positions.lastChange[partition] ?? null
    if (last !== null && !(await holdsChange(last, partition, options)))
      return `its cache does not fit its topics: ${topics.changes}/${partition} has another record at offset ${last.offset} than it was made from`
  }
  return null
}

/**
 * True if other processes may have ended keys that the cache has, so long ago that the topics no longer say
 * so. After only one run the topics say enough: each key that the run removed has a change of its own, and
 * the run ended no other key.
 */
function isOutdated(before: FedFor, { fedFor }: FeedOptions): boolean {
  const now = fedFor?.()
  if (now === undefined) return false
  return now.run > before.run + 1 && now.at - before.at > TRUSTED_MS
}

/** True if the topic has that change at its offset, or has nothing there because compaction dropped it. */
async function holdsChange(
  last: { readonly offset: number; readonly run: number; readonly seq: number },
  partition: number,
  options: FeedOptions,
): Promise<boolean> {
  const { log, io, topics, incarnation, signal } = options
  const target = at(topics.changes, partition)
  const { low, end } = await log.offsets(target, { signal })
  if (last.offset < low || last.offset >= end) return false
  const reading = { log, io, target, incarnation, stage: 'changes', signal } as const
  const placed = await ownRecordAt(reading, last.offset)
  if (placed === null) return true
  const { record } = placed
  return record?.name === 'sluice.Change' && record.value.run === last.run && record.value.seq === last.seq
}

/**
 * Returns the last changes of the run whose rows the state has kept; null if there is none, or the topic does
 * not confirm it (PROTOCOL.md §3). The rows count only if no fault names the run. Each partition must also
 * have the end of this run at the same offset, with as many changes as kept rows, and only markers behind it.
 */
async function lastOfConfirmed(
  { kept, changes: from }: StatePositions,
  options: FeedOptions,
): Promise<StatePositions['lastChange'] | null> {
  if (kept === null || options.faults.some(({ run }) => run === kept.run)) return null
  const { log, io, topics, incarnation, signal } = options
  const last: StatePositions['lastChange'][number][] = []
  for (const [partition, { end, count }] of kept.partitions.entries()) {
    const target = at(topics.changes, partition)
    const range = await log.offsets(target, { signal })
    const read = from[partition] ?? 0
    if (range.low > read || read >= end || range.end < end || range.end - end > FEW_RECORDS) return null
    const reading = { log, io, target, incarnation, stage: 'changes', signal } as const
    let isEnded = false
    let found: StatePositions['lastChange'][number] = null
    for await (const { records } of readOwned({
      ...reading,
      from: Math.max(range.low, end - 2),
      to: range.end,
    }))
      for (const { offset, key, record } of records) {
        if (offset >= end && !isMarkerKey(key)) return null
        if (record?.name === 'sluice.Marker' && offset === end - 1) {
          const { kind, begin, count: counted, sealed } = record.value
          isEnded = kind === 'run-end' && begin?.runId === kept.runId && counted === count && !sealed
        }
        if (
          record?.name === 'sluice.Change' &&
          record.value.run === kept.run &&
          record.value.seq === count - 1
        )
          found = { offset, run: kept.run, seq: count - 1 }
      }
    if (!isEnded || (found === null && count > 0)) return null
    last.push(found)
  }
  return last
}

async function feedPartition(
  state: DeliveredState,
  { changes, retry, captured }: { readonly [name in TopicName]: Range },
  options: FeedOptions & { readonly onRead: (records: number) => Promise<void> },
): Promise<void> {
  const { partition } = changes.target
  const unknownFrom = unknownFromIn(partition, options.faults)
  // `retry` has the outcome of each known change. So a later known change of a key drops the key's lost
  // change.
  const lost = new Map<string, RetryEntry>()
  for await (const { records, nextOffset } of readWhole(changes, 'changes', options)) {
    const placed = placedChanges(records)
    await state.feed({ partition, changes: { records: placed, nextOffset } })
    for (const record of placed) {
      const { change } = record
      const key = change === null ? record.key : change.key
      const entry = change === null ? null : entryOfLost(change, unknownFrom)
      if (entry === null) lost.delete(key)
      else lost.set(key, entry)
    }
  }
  const entries = [...lost].map(([key, value]) => ({ key, value }))
  if (lost.size > 0) await state.feed({ partition, lost: entries })
  for await (const { records, nextOffset } of readWhole(retry, 'attempts', options))
    await state.feed({ partition, retry: { records: retryEntries(records), nextOffset } })
  for await (const { records, nextOffset } of readWhole(captured, 'attempts', options))
    await state.feed({ partition, captured: { records: capturedValues(records), nextOffset } })
}

/**
 * Returns, by run, the first seq in the partition whose fate is unknown because of a fault. A sync may have
 * very many faults.
 */
export function unknownFromIn(partition: number, faults: readonly Fault[]): ReadonlyMap<number, number> {
  const unknownFrom = new Map<number, number>()
  for (const fault of faults)
    if (fault.partition === partition)
      unknownFrom.set(fault.run, Math.min(fault.from, unknownFrom.get(fault.run) ?? Infinity))
  return unknownFrom
}

/**
 * Makes the entry that delivery would have written for a change that may have been sent. Returns null if the
 * change was not sent.
 */
export function entryOfLost(
  change: PlacedChange['change'],
  unknownFrom: ReadonlyMap<number, number>,
): RetryEntry | null {
  const { op, run, seq } = change
  if (op === 'settled' || seq < (unknownFrom.get(run) ?? Infinity)) return null
  return {
    incarnation: '',
    owner: -1,
    run,
    seq,
    op,
    outcome: 'unknown',
    status: null,
    error: `run ${run} lost track of the row`,
    idempotencyKey: null,
    answered: false,
    requestHash: null,
    requestRows: 1,
    attempts: 0,
    runs: 1,
    since: 0,
  }
}

/** Yields the records of a range that count, and reports each batch once the caller has taken it. */
export async function* readWhole(
  { target, from, end }: Range,
  stage: StageName,
  options: FeedOptions & { readonly onRead: (records: number) => Promise<void> },
): AsyncGenerator<{ readonly records: readonly Placed[]; readonly nextOffset: number }> {
  const { log, io, incarnation, signal, onRead } = options
  if (from >= end) return
  let read = from
  for await (const batch of readOwned({ log, io, target, incarnation, stage, from, to: end, signal })) {
    yield batch
    await onRead(batch.nextOffset - read)
    read = batch.nextOffset
  }
}

export function placedChanges(records: readonly Placed[]): readonly (PlacedChange | PlacedTombstone)[] {
  return records.flatMap(({ offset, timestamp, key, record }): (PlacedChange | PlacedTombstone)[] => {
    // Requests of replays have keys of markers, since they are no rows.
    if (isMarkerKey(key)) return []
    if (record?.name === 'sluice.Change') return [{ offset, timestamp, change: record.value }]
    return record === null ? [{ offset, key: keyText(key), change: null }] : []
  })
}

export function retryEntries(
  records: readonly Placed[],
): readonly (Keyed<RetryEntry> & { readonly timestamp: number })[] {
  return records.flatMap(({ key, record, timestamp }) => {
    if (isMarkerKey(key)) return []
    const value: RetryEntry | null = record?.name === 'sluice.RetryEntry' ? record.value : null
    return [{ key: keyText(key), value, timestamp }]
  })
}

export function capturedValues(records: readonly Placed[]): NonNullable<StateFeed['captured']>['records'] {
  return records.flatMap(({ key, record }) => {
    if (isMarkerKey(key)) return []
    const value: Captured | null = record?.name === 'sluice.Captured' ? record.value : null
    return [{ key: keyText(key), value }]
  })
}
