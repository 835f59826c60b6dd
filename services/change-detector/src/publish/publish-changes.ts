/**
 * Writes a run into `changes`: `run-begin`, the changes with a gapless seq in each partition, `run-end`
 * (PROTOCOL.md §6).
 */
import type { ColumnRows } from '@sluice/contracts/column-values'
import type { ReplayOf } from '@sluice/contracts/state'
import { SluiceError } from '@sluice/contracts/errors'
import type { Marker, Request, RunBegin } from '@sluice/contracts/records'
import type { DeliveredState, DetectedChange, Diff, EndedKey } from '@sluice/delivered-state/port'
import type { NewRecord, NewRecords } from '@sluice/message-log/port'
import type { ChangeFrame, Encoder } from '@sluice/schema-codec/port'
import type { RecordIo } from '@sluice/topics/record-io'
import { plainMarker } from '@sluice/partition/take-over'
import { at, markerKey, textKey, type SyncTopics } from '@sluice/topics/topics'
import type { SyncOwnership } from '../sync/own-sync.ts'
import type { OwnedSync } from '../sync/owned-sync.ts'
import { PartitionAssigner } from './assign-partitions.ts'
import { endsValues, hasAnothersValues, withOwnValues } from './captured-values.ts'
import { PendingRows, SpareRowBuffers } from './pending-rows.ts'
import { REPLAY_PARTITION, replayKey } from './replayed-requests.ts'

/** The last change of a key that is gone stays in `changes` for this time (PROTOCOL.md §1). */
const GONE_KEPT_MS = 7 * 24 * 3_600_000
const APPEND_RECORDS = 500
const APPEND_BYTES = 512 * 1024
/** Up to this many appends are under way in all partitions together. */
const MAX_APPENDS_UNDER_WAY = 8
/** The change of a row that the delivered state does not know. It may go to any partition. */
const NEW_ROW = { op: 'added', partition: null } as const

interface PublishOptions {
  readonly io: RecordIo
  readonly ownership: Pick<SyncOwnership, 'incarnation' | 'of' | 'partitions' | 'topics'>
  readonly begin: RunBegin
  /** Encodes this sync's changes. */
  readonly encoder: Encoder
  /**
   * Returns how many rows of an op go to one partition before the next partition has its turn. They fill a
   * request.
   */
  readonly blockRows: (op: DetectedChange['op']) => number
  /** Aborts when the run is cancelled. Then the rest is left out, and the `run-end` markers are written. */
  readonly cancel: AbortSignal
  /** The recorded requests of a replay, which follow the settled changes. */
  readonly replayed?: AsyncIterable<readonly NewReplay[]>
  readonly abort: AbortSignal
}

/** A recorded request that is sent again, and its place in `requests`. */
export interface NewReplay {
  readonly request: Request
  readonly recordedAt: Omit<ReplayOf, 'change'>
}

/**
 * Publishes a run. Resolves once all is acknowledged: with true if the run is complete, with false if it was
 * cancelled. A failed append leaves a run that lacks markers.
 */
export async function publishChanges(diff: Diff, options: PublishOptions): Promise<boolean> {
  const { cancel, replayed } = options
  const publisher = new Publisher(options)
  await publisher.begin()
  let complete = true
  for await (const batch of diff.changesByColumn()) {
    if (cancel.aborted) {
      complete = false
      break
    }
    if ('newRows' in batch) {
      await publisher.addRows(batch.newRows)
      continue
    }
    const { changes, endsRetry } = batch
    await publisher.endCaptured(changes.filter(hasAnothersValues))
    for (const change of changes) await publisher.add(withOwnValues(change))
    const gone = changes.filter(endsValues)
    // The log must say that a row is uncertain before a removal of the row goes out. (A replay waits for all
    // changes.)
    const makesUncertain = replayed === undefined && changes.some(isLessCertain)
    if (endsRetry.length > 0 || gone.length > 0 || makesUncertain) await publisher.acknowledged()
    await publisher.endCaptured(gone)
    await publisher.endRetry(endsRetry)
  }
  complete &&= await publishReplayed(publisher, options)
  await publisher.end(!complete)
  return complete
}

/** True if the change alone makes its row less certain. */
function isLessCertain({ op, beforeState, settledState }: DetectedChange): boolean {
  if (op !== 'settled' || beforeState === 'absent' || beforeState === settledState) return false
  return settledState?.endsWith('-uncertain') === true
}

/** Publishes the recorded requests of a replay. Resolves with false if the run was cancelled. */
async function publishReplayed(publisher: Publisher, options: PublishOptions): Promise<boolean> {
  const { replayed, cancel } = options
  if (replayed === undefined) return true
  // The log must say that the rows of all partitions are uncertain before the first request goes out.
  await publisher.acknowledged()
  for await (const requests of replayed) {
    if (cancel.aborted) return false
    for (const request of requests) await publisher.addReplay(request)
  }
  return true
}

/** The output of one partition. */
interface Part {
  seq: number
  /** Records that wait for an append. Either these or `rows` are empty, since changes go in order. */
  pending: NewRecord[]
  bytes: number
  /** Rows that came by column, and wait for an append. */
  readonly rows: PendingRows
  /** The fields that changes of unknown rows have in common in this partition. */
  frame: ChangeFrame | null
}

class Publisher {
  readonly #options: PublishOptions
  readonly #assigner: PartitionAssigner
  readonly #parts: readonly Part[]
  readonly #underWay = new Set<Promise<void>>()
  #failure: unknown = null
  /** The number of recorded requests that were added. */
  #replays = 0

  constructor(options: PublishOptions) {
    this.#options = options
    this.#assigner = new PartitionAssigner(options.ownership.partitions, options.blockRows)
    const spare = new SpareRowBuffers()
    this.#parts = Array.from({ length: options.ownership.partitions }, () => ({
      seq: 0,
      pending: [],
      bytes: 0,
      rows: new PendingRows(spare),
      frame: null,
    }))
  }

  async begin(): Promise<void> {
    await Promise.all(
      this.#parts.map((_, partition) => this.#mark(partition, 'run-begin', { begin: this.#options.begin })),
    )
  }

  async add(change: DetectedChange): Promise<void> {
    const { ownership, begin, encoder } = this.#options
    const key = textKey(change.key)
    const partition = this.#assigner.partitionOf(change)
    const part = this.#partAt(partition)
    const target = at(ownership.topics.changes, partition)
    const value = encoder.encode({
      ...change,
      incarnation: ownership.incarnation,
      owner: ownership.of(partition).markerOffset(target),
      run: begin.run,
      seq: part.seq,
      replayed: null,
    })
    part.seq += 1
    await this.#push(partition, { key, value })
  }

  /** Adds `added` changes of rows that the delivered state does not know. */
  async addRows(rows: ColumnRows): Promise<void> {
    const encoder = this.#options.encoder.rows(rows)
    for (let row = 0; row < rows.rows; row += 1) {
      const partition = this.#assigner.partitionOf(NEW_ROW)
      const part = this.#partAt(partition)
      if (part.pending.length > 0) await this.#append(partition)
      const frame = (part.frame ??= this.#frameOf(partition))
      part.rows.add({ rows, encoder, frame, row, seq: part.seq })
      part.seq += 1
      if (part.rows.isFull) await this.#append(partition)
    }
  }

  #frameOf(partition: number): ChangeFrame {
    const { ownership, begin, encoder } = this.#options
    const target = at(ownership.topics.changes, partition)
    return encoder.frame({
      incarnation: ownership.incarnation,
      owner: ownership.of(partition).markerOffset(target),
      run: begin.run,
      ...{ op: 'added', before: null, beforeState: 'absent', settledState: null, muted: null },
      ...{ captured: null, retried: null, replayed: null, unfit: null },
    })
  }

  async #push(partition: number, record: NewRecord & { readonly value: Uint8Array }): Promise<void> {
    const part = this.#partAt(partition)
    if (!part.rows.isEmpty) await this.#append(partition)
    part.pending.push(record)
    part.bytes += record.value.length
    if (part.pending.length >= APPEND_RECORDS || part.bytes >= APPEND_BYTES) await this.#append(partition)
  }

  /**
   * Adds a recorded request, whole. The renderer copies it into `requests`. It carries no retry entries of
   * its rows, since its answer says nothing about the state.
   */
  async addReplay({ request, recordedAt }: NewReplay): Promise<void> {
    const { io, ownership, begin, encoder } = this.#options
    const part = this.#partAt(REPLAY_PARTITION)
    const target = at(ownership.topics.changes, REPLAY_PARTITION)
    const place = {
      incarnation: ownership.incarnation,
      owner: ownership.of(REPLAY_PARTITION).markerOffset(target),
      run: begin.run,
      seq: part.seq,
    }
    // The rows are uncertain now, whatever they were when the request was recorded.
    const rows = request.rows.map(row => ({ ...row, uncertain: true, retried: null }))
    const replayOf = { ...recordedAt, change: part.seq }
    const value = encoder.encode({
      ...{ ...place, op: request.trigger, key: '', before: null, beforeState: 'absent', after: null },
      ...{ settledState: null, muted: null, captured: null, retried: null },
      replayed: io.encode('Request', { ...request, rows, replayOf }),
    })
    part.seq += 1
    await this.#push(REPLAY_PARTITION, { key: replayKey(this.#replays++), value })
  }

  /** Waits until all that was added is acknowledged. */
  async acknowledged(): Promise<void> {
    await this.#appendAll()
  }

  /** Ends retry entries of settled rows, whose settled changes are acknowledged. */
  async endRetry(entries: readonly EndedKey[]): Promise<void> {
    const { ownership, abort: signal } = this.#options
    await endKeys(ownership, 'retry', { keys: entries, signal })
  }

  /** Ends captured values of the keys, in the partitions that these are known to be in. */
  async endCaptured(changes: readonly Pick<DetectedChange, 'partition' | 'key'>[]): Promise<void> {
    const { ownership, abort: signal } = this.#options
    const keys = changes.flatMap(({ partition, key }) => (partition === null ? [] : [{ partition, key }]))
    await endKeys(ownership, 'captured', { keys, signal })
  }

  async end(sealed: boolean): Promise<void> {
    await this.#appendAll()
    const { begin } = this.#options
    await Promise.all(
      this.#parts.map(({ seq }, partition) =>
        this.#mark(partition, 'run-end', { begin, count: seq, sealed }),
      ),
    )
  }

  #partAt(partition: number): Part {
    const part = this.#parts[partition]
    if (part === undefined)
      throw new SluiceError('internal', `there is no partition ${partition} of ${this.#parts.length}`)
    return part
  }

  async #mark(partition: number, kind: Marker['kind'], marker: Partial<Marker>): Promise<void> {
    const { io, ownership, abort } = this.#options
    await appendMarker({ io, ownership, signal: abort }, partition, kind, marker)
  }

  async #appendAll(): Promise<void> {
    for (const [partition] of this.#parts.entries()) await this.#append(partition)
    await Promise.all(this.#underWay)
    if (this.#failure !== null) throw this.#failure
  }

  async #append(partition: number): Promise<void> {
    if (this.#failure !== null) throw this.#failure
    const part = this.#partAt(partition)
    if (!part.rows.isEmpty) {
      const { block, settled } = part.rows.take()
      await this.#appendSome(partition, block, settled)
    } else if (part.pending.length > 0) {
      const records = part.pending
      part.pending = []
      part.bytes = 0
      await this.#appendSome(partition, records)
    }
  }

  /** Starts an append. Waits only if too many are under way. */
  async #appendSome(partition: number, records: NewRecords, settled = () => {}): Promise<void> {
    const { ownership, abort: signal } = this.#options
    const append = ownership
      .of(partition)
      .append(at(ownership.topics.changes, partition), records, { signal })
      .then(settled)
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => this.#underWay.delete(append))
    this.#underWay.add(append)
    if (this.#underWay.size >= MAX_APPENDS_UNDER_WAY) await Promise.race(this.#underWay)
  }
}

/** Writes one marker into a partition of `changes`. */
export async function appendMarker(
  options: Pick<PublishOptions, 'io' | 'ownership'> & { readonly signal: AbortSignal },
  partition: number,
  kind: Marker['kind'],
  marker: Partial<Marker>,
): Promise<void> {
  const { io, ownership, signal } = options
  const target = at(ownership.topics.changes, partition)
  const owner = ownership.of(partition)
  const value = io.encode('Marker', {
    ...plainMarker(kind, ownership.incarnation, owner.markerOffset(target)),
    ...marker,
  })
  await owner.append(target, [{ key: markerKey(kind, `${partition}`), value }], { signal })
}

/** Writes a tombstone for each key. Resolves once they are acknowledged. */
export async function endKeys(
  ownership: Pick<SyncOwnership, 'of' | 'topics'>,
  topic: keyof Pick<SyncTopics, 'changes' | 'retry' | 'captured'>,
  { keys, signal }: { readonly keys: readonly EndedKey[]; readonly signal: AbortSignal },
): Promise<void> {
  const byPartition = new Map<number, NewRecord[]>()
  for (const { partition, key } of keys) {
    const records = byPartition.get(partition) ?? []
    records.push({ key: textKey(key), value: null })
    byPartition.set(partition, records)
  }
  for (const [partition, records] of byPartition)
    await ownership.of(partition).append(at(ownership.topics[topic], partition), records, { signal })
}

/**
 * Ends keys in `changes` that have been gone for long (PROTOCOL.md §1). Tombstones name no run. So a run that
 * is interrupted here has published nothing.
 */
export async function endGone(
  state: Pick<DeliveredState, 'endGone'>,
  { deps, ownership, ends }: Pick<OwnedSync, 'deps' | 'ownership' | 'ends'>,
  signal: AbortSignal,
): Promise<void> {
  const end = (keys: readonly EndedKey[]): Promise<void> =>
    endKeys(ownership, 'changes', { keys, signal: ends.abort })
  await state.endGone(deps.now() - GONE_KEPT_MS, end, { signal })
}
