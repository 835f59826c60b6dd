/**
 * Brings the delivered state up to date from its topics. A cache that does not fit the topics is built again
 * (PROTOCOL.md §3).
 */
import type {
  DeliveredState,
  FedFor,
  PlacedChange,
  PlacedTombstone,
  StateFeed,
  StatePositions,
} from '@sluice/delivered-state/port'
import type { Captured, Fault, RetryEntry } from '@sluice/contracts/records'
import type { Restoring } from '@sluice/contracts/run-records'
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
  /** The run that a state which is kept is brought up to date for, with the time by now. */
  readonly fedFor?: () => FedFor
  /**
   * Why the state may be empty though the sync has run before. A rebuild gives this reason where no offset
   * tells one.
   */
  readonly whyEmpty?: string
  /** Told before the first record, after each batch of them, and before what was read is merged. */
  readonly onProgress?: (progress: Restoring) => Promise<void>
  /** Awaited before anything but markers is fed, since a merge may need much memory. */
  readonly beforeRows?: () => Promise<void>
  readonly signal: AbortSignal
}

/**
 * How long a cache is trusted if other processes were at work after it. Compacted topics keep a tombstone for
 * a little longer, since clocks differ. Later the topics may no longer say what the cache has to forget.
 */
const TRUSTED_MS = TOMBSTONES_KEPT_MS - 4 * 3_600_000

/**
 * An idle run leaves five records in each partition. With more of them, nobody looks whether all are markers.
 */
const FEW_RECORDS = 250

/**
 * Every run in the topics must have ended and be reported. Resolves with the faults that still put a change
 * in doubt. Rejects as log and state do.
 */
export async function feedState(state: DeliveredState, options: FeedOptions): Promise<readonly Fault[]> {
  const { beforeRows } = options
  let found = await lookAt(state, options)
  if (beforeRows !== undefined && (await hasRows(found, options))) {
    await beforeRows()
    // It may have taken hours. Meanwhile tombstones may have gone.
    found = await lookAt(state, options)
  }
  const { why, stretches, of, lastOfKept } = found
  if (lastOfKept !== null) state.feedKept(lastOfKept)
  let read = 0
  const onRead = async (records: number): Promise<void> => {
    read += records
    await options.onProgress?.({ why, records: read, of })
  }
  await onRead(0)
  for (let partition = 0; partition < options.partitions; partition += 1)
    await feedPartition(state, stretchesOf(stretches, partition), { ...options, onRead })
  await onRead(0)
  await state.commit({ signal: options.signal, fedFor: options.fedFor?.() })
  return options.faults.length === 0 ? [] : inDoubt(options.faults, await state.doubts())
}

/**
 * The other faults are over: each of their keys has a later change in its partition, so nobody asks for them
 * again, not even who rebuilds the state. So a sync has no more faults than rows in doubt, though it may have
 * an invalid row in each run.
 */
function inDoubt(
  faults: readonly Fault[],
  doubts: Awaited<ReturnType<DeliveredState['doubts']>>,
): readonly Fault[] {
  const last = new Map(doubts.map(({ partition, run, seq }) => [`${partition}/${run}`, seq]))
  return faults.filter(({ partition, run, from }) => (last.get(`${partition}/${run}`) ?? -1) >= from)
}

/** What is to be fed. */
interface Wanted {
  /** Why the state is empty, if it is. */
  readonly why: string | null
  readonly stretches: readonly Stretch[]
  /** How many records the stretches have at most. */
  readonly of: number
  /** The last changes of the run whose rows the state has kept, if these take the place of its changes. */
  readonly lastOfKept: StatePositions['lastChange'] | null
}

/** A state that does not fit its topics is emptied. */
async function lookAt(state: DeliveredState, options: FeedOptions): Promise<Wanted> {
  let positions = await state.positions()
  const mismatch = await findMismatch(positions, options)
  if (mismatch !== null) {
    await state.reset()
    positions = await state.positions()
  }
  const lastOfKept = await lastOfBorneOut(positions, options)
  if (positions.kept !== null && lastOfKept !== null)
    positions = { ...positions, changes: positions.kept.partitions.map(({ end }) => end) }
  const why = mismatch ?? (isEmpty(positions) ? (options.whyEmpty ?? null) : null)
  const stretches = await findStretches(positions, options)
  const of = stretches.reduce((sum, { from, end }) => sum + Math.max(0, end - from), 0)
  return { why, stretches, of, lastOfKept }
}

/** True unless these are few records, and all of them markers. */
async function hasRows({ stretches, of }: Wanted, { log, signal }: FeedOptions): Promise<boolean> {
  if (of > FEW_RECORDS) return true
  for (const { target, from, end } of stretches)
    if (from < end)
      for await (const { records } of log.read(target, { from, to: end, signal }))
        if (records.some(({ key }) => !isMarkerKey(key))) return true
  return false
}

function isEmpty({ changes }: StatePositions): boolean {
  return changes.every(position => position === 0)
}

/**
 * In the order in which delivery may still write to them, for a run that ended before its partition was done
 * (PROTOCOL.md §11). Delivery writes the values of one run before it writes an entry of the next. So whoever
 * looks at the end of `retry` first has all values from before each entry that counts.
 */
const TOPICS = ['changes', 'retry', 'captured'] as const
type TopicName = (typeof TOPICS)[number]

/** The stretch of one partition of a topic that is to be read. */
interface Stretch {
  readonly name: TopicName
  readonly target: TopicPartition
  readonly from: number
  readonly end: number
}

async function findStretches(positions: StatePositions, options: FeedOptions): Promise<readonly Stretch[]> {
  const { log, topics, partitions, signal } = options
  const found: Stretch[] = []
  for (let partition = 0; partition < partitions; partition += 1)
    for (const name of TOPICS) {
      const target = at(topics[name], partition)
      const { low, end } = await log.offsets(target, { signal })
      found.push({ name, target, from: Math.max(positions[name][partition] ?? 0, low), end })
    }
  return found
}

function stretchesOf(
  stretches: readonly Stretch[],
  partition: number,
): { readonly [name in TopicName]: Stretch } {
  const find = (name: TopicName): Stretch => {
    const found = stretches.find(stretch => stretch.name === name && stretch.target.partition === partition)
    if (found === undefined) throw new SluiceError('internal', `no stretch of ${name}/${partition}`)
    return found
  }
  return { changes: find('changes'), retry: find('retry'), captured: find('captured') }
}

/** Why the cache does not fit the topics, or null if it does. */
async function findMismatch(positions: StatePositions, options: FeedOptions): Promise<string | null> {
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
 * so. After one run alone the topics say enough: what the run removed is a change of its own, and it ended no
 * other key.
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
 * The last changes of the run whose rows the state has kept; null if there is none, or the topic does not
 * bear it out (PROTOCOL.md §3). The rows count only if each partition has this very run's end where the run
 * left it, with as many changes as rows are kept, and nothing but markers behind it, and if no fault names
 * the run.
 */
async function lastOfBorneOut(
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
  { changes, retry, captured }: { readonly [name in TopicName]: Stretch },
  options: FeedOptions & { readonly onRead: (records: number) => Promise<void> },
): Promise<void> {
  const { partition } = changes.target
  const doubted = doubtedIn(partition, options.faults)
  // Only the last change of each key counts here. The outcome of a later one stands in `retry`.
  const lost = new Map<string, RetryEntry>()
  for await (const { records, nextOffset } of readWhole(changes, 'changes', options)) {
    const placed = placedChanges(records)
    await state.feed({ partition, changes: { records: placed, nextOffset } })
    for (const record of placed) {
      const { change } = record
      const key = change === null ? record.key : change.key
      const entry = change === null ? null : entryOfLost(change, doubted)
      if (entry === null) lost.delete(key)
      else lost.set(key, entry)
    }
  }
  const doubts = [...lost].map(([key, value]) => ({ key, value }))
  if (lost.size > 0) await state.feed({ partition, doubted: doubts })
  for await (const { records, nextOffset } of readWhole(retry, 'attempts', options))
    await state.feed({ partition, retry: { records: retryEntries(records), nextOffset } })
  for await (const { records, nextOffset } of readWhole(captured, 'attempts', options))
    await state.feed({ partition, captured: { records: capturedValues(records), nextOffset } })
}

/** By run, the first seq in the partition that a fault puts in doubt. A sync may have very many faults. */
function doubtedIn(partition: number, faults: readonly Fault[]): ReadonlyMap<number, number> {
  const doubted = new Map<number, number>()
  for (const fault of faults)
    if (fault.partition === partition)
      doubted.set(fault.run, Math.min(fault.from, doubted.get(fault.run) ?? Infinity))
  return doubted
}

/**
 * The entry that delivery would have written for a change that may have been sent, and was never reported.
 */
function entryOfLost(
  change: PlacedChange['change'],
  doubted: ReadonlyMap<number, number>,
): RetryEntry | null {
  const { op, run, seq } = change
  if (op === 'settled' || seq < (doubted.get(run) ?? Infinity)) return null
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

/** Yields the records that count in a stretch, and reports each batch once it is taken in. */
async function* readWhole(
  { target, from, end }: Stretch,
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

function placedChanges(records: readonly Placed[]): readonly (PlacedChange | PlacedTombstone)[] {
  return records.flatMap(({ offset, timestamp, key, record }): (PlacedChange | PlacedTombstone)[] => {
    // A request that a replay sends again is no row. Its key is one of a marker.
    if (isMarkerKey(key)) return []
    if (record?.name === 'sluice.Change') return [{ offset, timestamp, change: record.value }]
    return record === null ? [{ offset, key: keyText(key), change: null }] : []
  })
}

function retryEntries(records: readonly Placed[]): NonNullable<StateFeed['retry']>['records'] {
  return records.flatMap(({ key, record }) => {
    if (isMarkerKey(key)) return []
    const value: RetryEntry | null = record?.name === 'sluice.RetryEntry' ? record.value : null
    return [{ key: keyText(key), value }]
  })
}

function capturedValues(records: readonly Placed[]): NonNullable<StateFeed['captured']>['records'] {
  return records.flatMap(({ key, record }) => {
    if (isMarkerKey(key)) return []
    const value: Captured | null = record?.name === 'sluice.Captured' ? record.value : null
    return [{ key: keyText(key), value }]
  })
}
