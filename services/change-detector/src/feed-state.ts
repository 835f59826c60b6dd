/**
 * Brings the delivered state up to date from its topics; where the cache does not fit them, it is built anew
 * (PROTOCOL.md §3).
 */
import type { DeliveredState, PlacedChange, StateFeed, StatePositions } from '@sluice/delivered-state/port'
import type { Captured, Fault, RetryEntry } from '@sluice/contracts/records'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { readOwned, type Placed } from '@sluice/stage/owned-reader'
import type { RecordIo } from '@sluice/stage/record-io'
import { at, isMarkerKey, keyText, type Stage, type SyncTopics } from '@sluice/stage/topics'

export interface FeedOptions {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly topics: SyncTopics
  readonly partitions: number
  readonly incarnation: string
  /** Changes whose fate nobody knows: they are taken in as unknown, whatever `retry` says. */
  readonly faults: readonly Fault[]
  readonly onRebuild: (why: string) => void
  readonly signal: AbortSignal
}

/** Every run in the topics has ended and is reported. Rejects as log and state do. */
export async function feedState(state: DeliveredState, options: FeedOptions): Promise<void> {
  let positions = await state.positions()
  const mismatch = await findMismatch(positions, options)
  if (mismatch !== null) {
    options.onRebuild(mismatch)
    await state.reset()
    positions = await state.positions()
  }
  for (let partition = 0; partition < options.partitions; partition += 1)
    await feedPartition(state, positions, partition, options)
  await state.commit()
}

/** Why the cache does not fit the topics, or null if it does. */
async function findMismatch(positions: StatePositions, options: FeedOptions): Promise<string | null> {
  const { log, topics, partitions, signal } = options
  for (let partition = 0; partition < partitions; partition += 1) {
    for (const name of ['changes', 'retry', 'captured'] as const) {
      const position = positions[name][partition] ?? 0
      if (position === 0) continue
      const { low, end } = await log.offsets(at(topics[name], partition), { signal })
      if (position < low || position > end)
        return `offset ${position} of ${topics[name]}/${partition} lies outside of ${low} to ${end}`
    }
    const last = positions.lastChange[partition] ?? null
    if (last !== null && !(await holdsChange(last, partition, options)))
      return `${topics.changes}/${partition} has another record at offset ${last.offset} than the cache was made from`
  }
  return null
}

/**
 * True if the topic has that change at its offset, or nothing there any more because compaction dropped it.
 */
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
  for await (const batch of readOwned({ ...reading, from: last.offset, to: last.offset + 1 })) {
    for (const { record } of batch.records) {
      if (record?.name !== 'sluice.Change') return false
      return record.value.run === last.run && record.value.seq === last.seq
    }
  }
  return true
}

async function feedPartition(
  state: DeliveredState,
  positions: StatePositions,
  partition: number,
  options: FeedOptions,
): Promise<void> {
  const { topics } = options
  const read = (topic: string, position: number | undefined, stage: Stage): AsyncIterable<Stretch> =>
    readToEnd(at(topic, partition), { ...options, from: position ?? 0, stage })
  const lost: { key: string; value: RetryEntry }[] = []
  for await (const { records, nextOffset } of read(topics.changes, positions.changes[partition], 'changes')) {
    const changes = placedChanges(records)
    await state.feed({ partition, changes: { records: changes, nextOffset } })
    for (const { change } of changes) lost.push(...entryOfLost(change, partition, options.faults))
  }
  let retryEnd = positions.retry[partition] ?? 0
  for await (const { records, nextOffset } of read(topics.retry, retryEnd, 'attempts')) {
    await state.feed({ partition, retry: { records: retryEntries(records), nextOffset } })
    retryEnd = nextOffset
  }
  if (lost.length > 0) await state.feed({ partition, retry: { records: lost, nextOffset: retryEnd } })
  for await (const { records, nextOffset } of read(
    topics.captured,
    positions.captured[partition],
    'attempts',
  ))
    await state.feed({ partition, captured: { records: capturedValues(records), nextOffset } })
}

/** What delivery would have written for a change that was sent, perhaps, and never heard of again. */
function entryOfLost(
  change: PlacedChange['change'],
  partition: number,
  faults: readonly Fault[],
): readonly { key: string; value: RetryEntry }[] {
  const { key, op, run, seq } = change
  if (op === 'settled') return []
  if (!faults.some(fault => fault.partition === partition && fault.run === run && seq >= fault.from))
    return []
  const value: RetryEntry = {
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
  return [{ key, value }]
}

interface Stretch {
  readonly records: readonly Placed[]
  readonly nextOffset: number
}

async function* readToEnd(
  target: TopicPartition,
  options: FeedOptions & { readonly from: number; readonly stage: Stage },
): AsyncGenerator<Stretch> {
  const { log, io, incarnation, stage, signal } = options
  const { low, end } = await log.offsets(target, { signal })
  const from = Math.max(options.from, low)
  if (from < end) yield* readOwned({ log, io, target, incarnation, stage, from, to: end, signal })
}

function placedChanges(records: readonly Placed[]): readonly PlacedChange[] {
  return records.flatMap(({ offset, record }) =>
    record?.name === 'sluice.Change' ? [{ offset, change: record.value }] : [],
  )
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
