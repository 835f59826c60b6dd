/**
 * Writes a run over a stream into `changes`: `run-begin`, the changes of each slice with a marker behind
 * them, and `run-end`. A slice is one append in each partition that has some of it. The next slice does not
 * wait until it is acknowledged.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Change, RunBegin, StreamPosition } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'
import type { NewRecord } from '@sluice/message-log/port'
import { plainMarker } from '@sluice/partition/take-over'
import type { Encoder } from '@sluice/schema-codec/port'
import type { RecordIo } from '@sluice/topics/record-io'
import { at, markerKey, sliceKey, textKey } from '@sluice/topics/topics'
import { appendMarker, endKeys } from '../publish/publish-changes.ts'
import type { SyncOwnership } from '../sync/own-sync.ts'
import type { FoundChange } from './decide-slice.ts'
import type { StreamedRow } from './streamed-row.ts'

/** Up to this many appends are under way. */
const MAX_APPENDS_UNDER_WAY = 8

const ORDER: readonly Change['op'][] = ['settled', 'removed', 'changed', 'added']

export interface PublisherOptions {
  readonly io: RecordIo
  readonly ownership: SyncOwnership
  readonly begin: RunBegin
  /** Rows of an op that go to one partition before the next partition has its turn. */
  readonly blockRows: (op: Change['op']) => number
  readonly abort: AbortSignal
  /**
   * Called once the marker of a slice is acknowledged in a partition, with the offset behind it in `changes`.
   */
  readonly onMarked: (slice: number, partition: number, end: number) => void
}

export type PlacedChange = Omit<FoundChange<StreamedRow>, 'partition'> & { readonly partition: number }

export interface NewSlice {
  readonly slice: number
  readonly changes: readonly PlacedChange[]
  /** Where a successor reads on, once this is there. */
  readonly position: StreamPosition
  readonly encoder: Encoder
}

export class SlicePublisher {
  readonly #options: PublisherOptions
  readonly #seqs: number[]
  /** By partition, the offset of `run-begin`. */
  readonly #begins: number[] = []
  readonly #next: { [op in Change['op']]?: { partition: number; rows: number } } = {}
  readonly #underWay = new Set<Promise<void>>()
  #failure: { readonly error: unknown } | null = null
  /** How many changes of each op are published. */
  readonly counts: { [op in Op]: number } = { removed: 0, changed: 0, added: 0 }

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#seqs = new Array<number>(options.ownership.partitions).fill(0)
  }

  get hasBegun(): boolean {
    return this.#begins.length > 0
  }

  /** True if another slice may be appended without a wait. */
  get hasRoom(): boolean {
    return this.#underWay.size < MAX_APPENDS_UNDER_WAY
  }

  /** Writes `run-begin` to each partition. */
  async begin(): Promise<void> {
    const { io, ownership, begin, abort: signal } = this.#options
    const written = this.#seqs.map(async (_, partition) => {
      const target = at(ownership.topics.changes, partition)
      const owner = ownership.of(partition)
      const plain = plainMarker('run-begin', ownership.incarnation, owner.markerOffset(target))
      const value = io.encode('Marker', { ...plain, begin })
      const key = markerKey('run-begin', `${partition}`)
      return (await owner.append(target, [{ key, value }], { signal })).baseOffset
    })
    this.#begins.push(...(await Promise.all(written)))
  }

  /**
   * Gives a new key a partition. It goes on where the last slice ended, so that small slices use all of them
   * in turns.
   */
  placed(change: FoundChange<StreamedRow>): PlacedChange {
    if (change.partition !== null) return { ...change, partition: change.partition }
    const next = (this.#next[change.op] ??= { partition: 0, rows: 0 })
    const { partition } = next
    next.rows += 1
    if (next.rows >= this.#options.blockRows(change.op)) {
      next.rows = 0
      next.partition = (partition + 1) % this.#seqs.length
    }
    return { ...change, partition }
  }

  /**
   * Appends a slice: settled changes first, whose acknowledgement all else waits for. Resolves once the rest
   * of it is under way. `done` resolves once all of it is acknowledged. A slice without changes has one
   * marker, in partition 0.
   */
  async publish(slice: NewSlice): Promise<{ readonly done: Promise<void> }> {
    const { changes } = slice
    this.#assertAlive()
    const settled = changes.filter(({ op }) => op === 'settled')
    const endsFirst = changes.some(({ endsCaptured, endsRetry }) => endsCaptured || endsRetry)
    if (settled.length > 0 || endsFirst) {
      await this.acknowledged()
      await this.#settle(slice, settled)
      await this.#end(changes)
    }
    const byPartition = Map.groupBy(changes, ({ partition }) => partition)
    if (byPartition.size === 0) byPartition.set(0, [])
    const appends = [...byPartition].map(([partition, own]) => this.#append(slice, partition, own))
    while (!this.hasRoom) await Promise.race(this.#underWay)
    this.#assertAlive()
    return { done: Promise.all(appends).then(() => this.#assertAlive()) }
  }

  /** Waits until all that was published is acknowledged. Rejects with the first failure. */
  async acknowledged(): Promise<void> {
    await Promise.all(this.#underWay)
    this.#assertAlive()
  }

  /** Writes `run-end` to each partition. `sealed`: another run has to do the rest. */
  async end(sealed: boolean): Promise<void> {
    await this.acknowledged()
    const { begin, io, ownership, abort: signal } = this.#options
    await Promise.all(
      this.#seqs.map((count, partition) =>
        appendMarker({ io, ownership, signal }, partition, 'run-end', { begin, count, sealed }),
      ),
    )
  }

  #assertAlive(): void {
    if (this.#failure !== null) throw this.#failure.error
  }

  async #settle(slice: NewSlice, settled: readonly PlacedChange[]): Promise<void> {
    const { ownership, abort: signal } = this.#options
    const appends = [...Map.groupBy(settled, ({ partition }) => partition)].map(([partition, own]) => {
      const records = own.map(change => this.#record(slice, change))
      return ownership.of(partition).append(at(ownership.topics.changes, partition), records, { signal })
    })
    await Promise.all(appends).catch((error: unknown) => this.#fail(error))
    this.#assertAlive()
  }

  /**
   * Ends retry entries and captured values. That is acknowledged before the marker of the slice is written:
   * later, delivery may write new ones of these keys.
   */
  async #end(changes: readonly PlacedChange[]): Promise<void> {
    const { ownership, abort: signal } = this.#options
    const retry = changes.filter(({ endsRetry }) => endsRetry)
    const captured = changes.filter(({ endsCaptured }) => endsCaptured)
    await endKeys(ownership, 'captured', { keys: captured, signal })
    await endKeys(ownership, 'retry', { keys: retry, signal })
  }

  #append(slice: NewSlice, partition: number, changes: readonly PlacedChange[]): Promise<void> {
    const { ownership, abort: signal } = this.#options
    const sent = changes
      .filter(({ op }) => op !== 'settled')
      .toSorted((a, b) => ORDER.indexOf(a.op) - ORDER.indexOf(b.op))
    const records = sent.map(change => this.#record(slice, change))
    for (const { op } of sent) if (op !== 'settled') this.counts[op] += 1
    records.push(this.#marker(slice, partition, changes))
    const append = ownership
      .of(partition)
      .append(at(ownership.topics.changes, partition), records, { signal })
      .then(({ baseOffset }) => this.#options.onMarked(slice.slice, partition, baseOffset + records.length))
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#underWay.delete(append))
    this.#underWay.add(append)
    return append
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
  }

  #record({ slice, encoder }: NewSlice, change: PlacedChange): NewRecord & { readonly value: Uint8Array } {
    const { ownership, begin } = this.#options
    const { key, partition, wanted, op, before, beforeState, after, settledState, muted } = change
    const { captured, retried } = change
    const { epoch, order, committedAt } = wanted
    const seq = this.#seqs[partition] ?? 0
    this.#seqs[partition] = seq + 1
    const value = encoder.encode({
      ...{ incarnation: ownership.incarnation, run: begin.run, seq, op, key, before, beforeState, after },
      owner: ownership.of(partition).markerOffset(at(ownership.topics.changes, partition)),
      ...{ settledState, muted, captured, retried, replayed: null },
      streamed: { slice, epoch, order, committedAt },
      wanted: op === 'settled' ? wanted.row : null,
    })
    return { key: textKey(key), value }
  }

  #marker(
    { slice, position }: NewSlice,
    partition: number,
    changes: readonly PlacedChange[],
  ): NewRecord & { readonly value: Uint8Array } {
    const { io, ownership, begin } = this.#options
    const offset = this.#begins[partition]
    if (offset === undefined) throw new SluiceError('internal', 'a slice was published before run-begin')
    const times = changes.flatMap(({ wanted: { committedAt } }) => committedAt ?? [])
    const value = io.encode('Slice', {
      ...{ incarnation: ownership.incarnation, run: begin.run, slice, begin: offset },
      owner: ownership.of(partition).markerOffset(at(ownership.topics.changes, partition)),
      count: this.#seqs[partition] ?? 0,
      position: io.encode('StreamPosition', position),
      ...{ input: null, requestsEnd: null, attemptsEnd: null },
      committedAt: times.length === 0 ? null : times.reduce((a, b) => Math.max(a, b)),
    })
    return { key: sliceKey(partition), value }
  }
}
