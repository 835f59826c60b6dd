/**
 * The state by key in memory, as the rules say it, for tests. It looks at all keys wherever it searches.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Captured, RetryEntry } from '@sluice/contracts/records'
import type { KeyStateKind, Outcome } from '@sluice/contracts/state'
import type { Column, Row } from '@sluice/contracts/values'
import { reasonHash } from '@sluice/domain/answers/failed-group'
import { isAmong } from '@sluice/domain/answers/status-filter'
import { formOf } from '@sluice/domain/key-form'
import { decide, transition } from '@sluice/domain/key-state'
import type { EndedKey, StatePositions } from '../src/port.ts'
import type {
  Removed,
  StreamCommand,
  StreamedChange,
  StreamedKey,
  StreamFeed,
  StreamState,
} from '../src/stream-port.ts'

/** The last change of a key, and the state that it has left. */
interface Last {
  readonly partition: number
  readonly run: number
  readonly slice: number
  readonly seq: number
  /** Null for a settled change, which has no request. */
  readonly outcome: Outcome | null
  readonly state: KeyStateKind
  readonly row: Row | null
  readonly wanted: Row | null
  readonly epoch: number
  readonly order: string
  readonly muted: string | null
  /** True if its row is uncertain, and muted for the op that it needs. */
  readonly isPassedOver: boolean
  readonly timestamp: number
}

interface Failure {
  readonly entry: RetryEntry
  readonly at: number
}

/** All that the topics say of a key, by partition where it may differ. */
class Facts {
  last: Last | null = null
  readonly entries = new Map<number, Failure>()
  readonly lost = new Map<number, Failure>()
  readonly captured = new Map<number, Captured>()
  /** The times of changes that leave nothing in their partition. */
  readonly gone = new Map<number, number>()

  /** Null if nothing is known of the key but where it was. */
  get partition(): number | null {
    if (this.last !== null) return this.last.partition
    const failed = [...this.entries, ...this.lost].toSorted(
      ([p, a], [q, b]) => b.entry.run - a.entry.run || q - p,
    )
    return failed[0]?.[0] ?? [...this.captured.keys()].toSorted((a, b) => b - a)[0] ?? null
  }

  failureIn(partition: number): Failure | null {
    return this.lost.get(partition) ?? this.entries.get(partition) ?? null
  }

  get isEmpty(): boolean {
    return this.partition === null && this.gone.size === 0
  }
}

const UNKNOWN_KEY = { state: 'absent', row: null, wanted: null, epoch: 0, order: '', muted: null } as const
const NO_CHANGE = { ...UNKNOWN_KEY, run: 0, slice: 0, seq: 0, isPassedOver: true, timestamp: 0 }

const isUncertain = (state: KeyStateKind): boolean => state.endsWith('-uncertain')

export class MemoryStreamState implements StreamState {
  readonly #partitions: number
  readonly #incarnation: string
  #keys = new Map<string, Facts>()
  #positions: StatePositions
  #newestEpoch = 0
  #columns: readonly Column[] | null = null

  constructor(options: { readonly partitions: number; readonly incarnation: string }) {
    this.#partitions = options.partitions
    this.#incarnation = options.incarnation
    this.#positions = emptyPositions(options.partitions)
  }

  positions(): StatePositions {
    return this.#positions
  }

  newestEpoch(): number {
    return this.#newestEpoch
  }

  setColumns(columns: readonly Column[]): void {
    this.#columns = columns
  }

  of(keys: readonly string[]): ReadonlyMap<string, StreamedKey> {
    return new Map(keys.flatMap(key => this.#known(key).map(known => [key, known] as const)))
  }

  twinsOf(keys: readonly string[]): ReadonlyMap<string, readonly StreamedKey[]> {
    const twins = keys.map(key => {
      const own = formOf(key)
      return [key, this.#all().filter(other => other.key !== key && formOf(other.key) === own)] as const
    })
    return new Map(twins.filter(([, found]) => found.length > 0))
  }

  take({ partition, changes, retry, lost, captured, fedFor }: StreamFeed): void {
    if (!Number.isInteger(partition) || partition < 0 || partition >= this.#partitions)
      throw new SluiceError('internal', `there is no partition ${partition} of ${this.#partitions}`)
    for (const { key, value } of retry?.records ?? []) this.#refuseLate(partition, key, value)
    for (const { key, value, timestamp } of retry?.records ?? []) {
      const facts = this.#facts(key)
      if (value === null) facts.entries.delete(partition)
      else facts.entries.set(partition, { entry: value, at: timestamp })
    }
    for (const { key, value } of captured?.records ?? []) {
      const facts = this.#facts(key)
      if (value === null) facts.captured.delete(partition)
      else facts.captured.set(partition, value)
    }
    const from = this.#positions.changes[partition] ?? 0
    const lostNow = new Map((lost ?? []).map(({ key, value }) => [key, value]))
    const news = (changes?.records ?? []).filter(({ offset }) => offset >= from)
    for (const record of news)
      if (record.change === null) this.#end(record.key, partition)
      else this.#takeChange(partition, record, lostNow.get(record.change.key))
    for (const [key, facts] of this.#keys) if (facts.isEmpty) this.#keys.delete(key)
    const last = news.findLast(({ change }) => change !== null)
    const changesEnd = changes === undefined ? undefined : { nextOffset: Math.max(from, changes.nextOffset) }
    const ends = { changes: changesEnd, retry, captured }
    const next = { ...this.#positions }
    for (const name of ['changes', 'retry', 'captured'] as const)
      next[name] = withOne(next[name], partition, ends[name]?.nextOffset)
    if (last !== undefined && last.change !== null) {
      const { run, seq } = last.change
      next.lastChange = withOne(next.lastChange, partition, { offset: last.offset, run, seq })
    }
    this.#positions = { ...next, fedFor: fedFor ?? next.fedFor }
  }

  failedBefore(at: number, limit: number): readonly StreamedKey[] {
    return this.#due()
      .filter(due => due.at < at)
      .slice(0, limit)
      .map(({ known }) => known)
  }

  oldestFailure(): number | null {
    return this.#due()[0]?.at ?? null
  }

  meant(command: StreamCommand, after: string | null, limit: number): readonly StreamedKey[] {
    return this.#behind(after)
      .filter(known => isMeant(command, known, this.#incarnation))
      .slice(0, limit)
  }

  inOrder(after: string | null, limit: number): readonly StreamedKey[] {
    return this.#behind(after).slice(0, limit)
  }

  count(): ReturnType<StreamState['count']> {
    const all = this.#all()
    return {
      believed: all.filter(({ state }) => state !== 'absent').length,
      failed: all.filter(({ failed }) => failed !== null).length,
    }
  }

  removedSince(at: number): readonly Removed[] {
    const removed = [...this.#keys.values()].flatMap(({ last, gone }) => {
      const since = last === null ? undefined : gone.get(last.partition)
      return last === null || last.outcome === null || since === undefined || since < at
        ? []
        : [{ at: since, state: last.state }]
    })
    const groups = [...Map.groupBy(removed, each => Math.floor(each.at / 10_000)).values()]
    return groups
      .map(group => ({
        at: Math.max(...group.map(each => each.at)),
        removed: group.length,
        absent: group.filter(({ state }) => state === 'absent').length,
      }))
      .toSorted((a, b) => a.at - b.at)
  }

  async endGone(
    before: number,
    end: (keys: readonly EndedKey[]) => Promise<void>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    signal.throwIfAborted()
    const gone = [...this.#keys].flatMap(([key, { gone: times }]) =>
      [...times]
        .filter(([partition, at]) => at < before && this.#isGone(key, partition))
        .map(([partition]) => ({ partition, key })),
    )
    if (gone.length === 0) return
    await end(gone)
    for (const { partition, key } of gone) this.#end(key, partition)
    for (const [key, facts] of this.#keys) if (facts.isEmpty) this.#keys.delete(key)
  }

  reset(): void {
    this.#keys = new Map()
    this.#positions = emptyPositions(this.#partitions)
    this.#newestEpoch = 0
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  #facts(key: string): Facts {
    const known = this.#keys.get(key)
    if (known !== undefined) return known
    const facts = new Facts()
    this.#keys.set(key, facts)
    return facts
  }

  #takeChange(partition: number, { change, timestamp }: StreamedChange, lost: RetryEntry | undefined): void {
    const facts = this.#facts(change.key)
    const { op, settledState, run, seq } = change
    facts.lost.delete(partition)
    const isOfChange = (entry: RetryEntry): boolean => entry.run === run && entry.seq === seq
    if (lost !== undefined && isOfChange(lost)) facts.lost.set(partition, { entry: lost, at: timestamp })
    if (op === 'removed' || (op === 'settled' && settledState === 'absent'))
      facts.gone.set(partition, timestamp)
    else facts.gone.delete(partition)
    this.#newestEpoch = Math.max(this.#newestEpoch, change.streamed?.epoch ?? 0)
    const failure = facts.failureIn(partition)?.entry
    const outcome = failure !== undefined && isOfChange(failure) ? failure.outcome : 'delivered'
    const last = lastOf({ change, timestamp, partition }, outcome)
    if (facts.last === null || !isEarlier(last, facts.last)) facts.last = last
  }

  /** Forgets what the key had in this partition. */
  #end(key: string, partition: number): void {
    const facts = this.#facts(key)
    facts.gone.delete(partition)
    facts.lost.delete(partition)
    const { last } = facts
    if (last?.partition !== partition) return
    facts.last = null
    // Entries of a later change, which stands behind the tombstone, have come early, and stay.
    if (isUpTo(facts.entries.get(partition)?.entry, last)) facts.entries.delete(partition)
    if (isUpTo(facts.captured.get(partition), last)) facts.captured.delete(partition)
  }

  /** Refuses an outcome that comes after its change has been taken in with another one. */
  #refuseLate(partition: number, key: string, entry: RetryEntry | null): void {
    const facts = this.#keys.get(key)
    const last = facts?.last
    if (last?.partition !== partition || facts?.lost.has(partition) === true) return
    if (entry?.run !== last.run || entry.seq !== last.seq) return
    if (last.outcome !== null && entry.outcome !== last.outcome)
      throw new SluiceError('corrupt', `the outcome of "${key}" in run ${last.run} came after its change`)
  }

  #known(key: string): readonly StreamedKey[] {
    const facts = this.#keys.get(key)
    const partition = facts?.partition ?? null
    if (facts === undefined || partition === null) return []
    const { state, row, wanted, epoch, order, run, slice, seq, muted } = facts.last ?? NO_CHANGE
    return [
      {
        key,
        state,
        row: this.#withColumns(row),
        wanted: this.#withColumns(wanted),
        epoch,
        order,
        partition,
        run,
        slice,
        seq,
        muted,
        failed: facts.failureIn(partition)?.entry ?? null,
        captured: facts.captured.get(partition)?.values ?? null,
      },
    ]
  }

  #withColumns(row: Row | null): Row | null {
    if (row === null || this.#columns === null) return row
    const names = this.#columns.map(({ name }) => name).filter(name => Object.hasOwn(row, name))
    return Object.fromEntries(names.map(name => [name, row[name] ?? null]))
  }

  /** All keys in the order of their bytes. */
  #all(): readonly StreamedKey[] {
    return [...this.#keys.keys()].flatMap(key => this.#known(key)).toSorted((a, b) => inBytes(a.key, b.key))
  }

  #behind(after: string | null): readonly StreamedKey[] {
    return this.#all().filter(({ key }) => after === null || inBytes(key, after) > 0)
  }

  #due(): readonly { readonly known: StreamedKey; readonly at: number }[] {
    const due = this.#all().flatMap(known => {
      const facts = this.#facts(known.key)
      const failure = facts.failureIn(known.partition)
      if (failure !== null) return [{ known, at: failure.at }]
      const { isPassedOver, timestamp } = facts.last ?? NO_CHANGE
      return isUncertain(known.state) && !isPassedOver ? [{ known, at: timestamp }] : []
    })
    return due.toSorted((a, b) => a.at - b.at)
  }

  #isGone(key: string, partition: number): boolean {
    const [known] = this.#known(key)
    if (known?.partition !== partition) return true
    return (
      known.state === 'absent' && known.muted === null && known.failed === null && known.captured === null
    )
  }
}

function emptyPositions(partitions: number): StatePositions {
  const zeros = Array<number>(partitions).fill(0)
  const lastChange = Array<null>(partitions).fill(null)
  return { changes: zeros, retry: zeros, captured: zeros, lastChange, fedFor: null, kept: null }
}

function withOne<T>(all: readonly T[], index: number, value: T | undefined): readonly T[] {
  return value === undefined ? all : all.with(index, value)
}

function inBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function isUpTo(of: { readonly run: number; readonly seq: number } | undefined, last: Last): boolean {
  return of !== undefined && (of.run < last.run || (of.run === last.run && of.seq <= last.seq))
}

function isEarlier(a: Last, b: Last): boolean {
  return a.run < b.run || (a.run === b.run && (a.slice < b.slice || (a.slice === b.slice && a.seq < b.seq)))
}

function lastOf(
  { change, timestamp, partition }: Omit<StreamedChange, 'offset'> & { readonly partition: number },
  outcome: Outcome,
): Last {
  const { run, seq, op, before, beforeState, after, settledState, muted, streamed, wanted } = change
  const place = { partition, run, seq, slice: streamed?.slice ?? 0, timestamp, muted }
  const order = { epoch: streamed?.epoch ?? 0, order: streamed?.order ?? '' }
  if (op === 'settled') {
    const state = settledState ?? 'absent'
    const source = wanted ?? (streamed === null || streamed === undefined ? after : null)
    const needs = decide(state, source !== null, true)
    const isPassedOver = muted !== null && needs === decide(beforeState, source !== null, true)
    const row = state === 'absent' ? null : after
    return { ...place, ...order, outcome: null, state, row, wanted: source, isPassedOver }
  }
  const next = transition(beforeState, op, outcome)
  const row = next.row === 'after' ? after : next.row === 'before' ? before : null
  return { ...place, ...order, outcome, state: next.state, row, wanted: after, isPassedOver: false }
}

function isMeant(command: StreamCommand, known: StreamedKey, incarnation: string): boolean {
  const { kind, upTo, upToSlices, key, status, group = null } = command
  if (known.run > upTo) return false
  if (known.run === upTo && upToSlices !== null && known.slice > (upToSlices[known.partition] ?? 0))
    return false
  const { failed } = known
  if (kind !== 'resync' && failed === null && !isUncertain(known.state)) return false
  if (key !== null && known.key !== key) return false
  if (status !== null && !isAmong(status, failed?.status ?? null)) return false
  if (group === null) return true
  if (failed === null || failed.since > group.lastSince) return false
  return group.reason === null || reasonHash(failed, incarnation) === group.reason
}
