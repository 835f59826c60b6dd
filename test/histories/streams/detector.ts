/**
 * The detector of a stream. It reads the source slice by slice, decides by the state of each key, and
 * publishes what is needed. A key has one change on its way at a time: a later one is held back until
 * delivery has finished the one before.
 */
import { decide } from '@sluice/domain/key-state'
import { shuffled, type Random } from '@sluice/testkit/random'
import type { Row } from '../plan.ts'
import { outcomeOf, stateAfter, type Known, type State } from '../topics.ts'
import type { Mistake } from './mistakes.ts'
import type { Entry, Source } from './source.ts'
import {
  lastChanges,
  lastPosition,
  stateOf,
  type Item,
  type Partition,
  type Position,
  type StreamChange,
} from './topics.ts'

export interface DetectorOptions {
  readonly source: Source
  readonly partitions: readonly Partition[]
  readonly run: number
  readonly random: Random
  readonly mistake: Mistake | null
  readonly onPublish: (change: StreamChange) => void
}

/** The row that the source has of a key, as far as the detector has read. */
interface Wanted {
  readonly order: number
  readonly row: Row | null
}

/** How many entries one slice takes. */
const MAX_SLICE = 5

export class StreamDetector {
  readonly #options: DetectorOptions
  readonly #state: State
  /** By key: the order of the entry that its last change came of. */
  readonly #published: Map<string, Wanted>
  /** The changes that delivery has not finished, by key. */
  readonly #inFlight = new Map<string, { readonly slice: number; readonly change: StreamChange }>()
  /** The newest entries of keys in flight. */
  readonly #held = new Map<string, Entry>()
  /** By slice: where its entries begin, and the keys whose changes are not in the topics yet. */
  readonly #owing = new Map<number, { readonly start: Position; readonly keys: Set<string> }>()
  #position: Position
  #slice = 0
  /** What is still to be appended of the last slice. */
  #writes: (() => void)[] = []

  /** All earlier runs have ended. */
  constructor(options: DetectorOptions) {
    const { partitions, mistake } = options
    this.#options = options
    this.#state = stateOf(partitions, mistake)
    const last = [...lastChanges(partitions, mistake)]
    this.#published = new Map(
      last.map(([key, { change }]) => [key, { order: change.order, row: change.after }]),
    )
    if (mistake === 'forgets-orders') for (const key of this.#published.keys()) this.#forget(key)
    this.#position = lastPosition(partitions)
  }

  #forget(key: string): void {
    const { row } = this.#published.get(key) ?? { row: null }
    this.#published.set(key, { order: 0, row })
  }

  /** True once all that it has read is published and finished, as far as its own work goes. */
  get isIdle(): boolean {
    const isBusy = this.#writes.length > 0 || this.#inFlight.size > 0 || this.#held.size > 0
    return !isBusy && this.#position.offset === this.#options.source.end
  }

  get hasFailed(): boolean {
    return this.#options.partitions.some(({ retry }) => retry.size > 0)
  }

  /** Goes on by one append, or by one slice. `retries`: rows that failed are due. */
  step(retries: boolean): void {
    const write = this.#writes.shift()
    if (write !== undefined) write()
    else if (this.#position.offset < this.#options.source.start) this.#compare()
    else this.#readSlice(retries)
  }

  /** Takes notice of what delivery has finished in a partition. */
  hear(index: number): void {
    const partition = this.#options.partitions[index]
    if (partition === undefined || partition.finishedRun >= this.#options.run) return
    for (const [key, { slice, change }] of this.#inFlight) {
      if (this.#partitionOf(key) !== index || slice > partition.finishedSlice) continue
      const isIgnored = this.#options.mistake === 'ignores-outcomes'
      const outcome = isIgnored ? 'delivered' : outcomeOf(change, partition.retry.get(key))
      const isUndecided = change.op !== 'settled' && outcome === 'unknown'
      const known = { ...stateAfter(change, outcome), partition: index, run: change.run, isUndecided }
      const isGone = known.kind === 'absent' && known.muted === null && !partition.retry.has(key)
      if (isGone) this.#state.delete(key)
      else this.#state.set(key, known)
      this.#inFlight.delete(key)
    }
  }

  #readSlice(retries: boolean): void {
    const { source, random, mistake } = this.#options
    const start = this.#position
    const end = Math.min(source.end, start.offset + random.below(MAX_SLICE + 1))
    const newest = new Map<string, Entry>()
    let { highest } = start
    for (const entry of source.read(start.offset, end)) {
      if (entry.order <= highest && mistake !== 'takes-repeats') continue
      highest = Math.max(highest, entry.order)
      newest.set(entry.key, entry)
    }
    for (const [key, { order }] of newest) {
      // It was published before a successor read it again.
      if (order <= (this.#published.get(key)?.order ?? 0)) newest.delete(key)
    }
    for (const [key, entry] of this.#held)
      if (!newest.has(key) && !this.#inFlight.has(key)) newest.set(key, entry)
    if (retries) for (const [key, entry] of this.#failed()) if (!newest.has(key)) newest.set(key, entry)
    this.#position = { offset: end, highest }
    const found: StreamChange[] = []
    const keys = new Set<string>()
    for (const [key, entry] of newest) {
      if (this.#inFlight.has(key) && mistake !== 'sends-in-flight') {
        this.#held.set(key, entry)
        keys.add(key)
        continue
      }
      this.#held.delete(key)
      const change = this.#decide(key, entry)
      if (change === null) this.#settleDebt(key)
      else {
        found.push(change)
        keys.add(key)
      }
    }
    this.#append(start, found, keys)
  }

  /** The rows of changes that failed, as the source had them last. */
  #failed(): readonly (readonly [string, Entry])[] {
    return this.#options.partitions.flatMap(({ retry }) =>
      [...retry.keys()].flatMap(key => {
        const wanted = this.#published.get(key)
        return wanted === undefined || this.#inFlight.has(key) ? [] : [[key, { ...wanted, key }] as const]
      }),
    )
  }

  /** The whole table takes the place of entries that the log has lost. Nothing may be on its way. */
  #compare(): void {
    if (this.#inFlight.size > 0) return
    const { source } = this.#options
    const start = this.#from(this.#position)
    const keys = new Set([...this.#state.keys(), ...source.table.keys()])
    this.#held.clear()
    this.#owing.clear()
    const found = [...keys].flatMap(key => {
      const order = source.orders.get(key) ?? 0
      return this.#decide(key, { order, key, row: source.table.get(key) ?? null }) ?? []
    })
    this.#position = { offset: source.end, highest: source.order }
    this.#append(start, found, new Set(found.map(({ key }) => key)))
  }

  /** The change that the key needs; null if it needs none. */
  #decide(key: string, { order, row }: Entry): StreamChange | null {
    const { partitions, random, run } = this.#options
    const known = this.#state.get(key)
    const partition = this.#partitionOf(key) ?? random.below(partitions.length)
    const believed: Pick<Known, 'kind' | 'row'> = known ?? { kind: 'absent', row: null }
    const entry = partitions[partition]?.retry.get(key) ?? null
    const op = decide(believed.kind, row !== null, believed.row?.v !== row?.v)
    if (op === null && entry === null) return null
    if (known === undefined) this.#place(key, partition)
    const common = { run, slice: 0, seq: 0, key, order, captured: null, muted: null, retried: entry }
    const before = { before: believed.row, beforeState: believed.kind }
    if (op === null)
      return { ...common, ...before, op: 'settled', after: believed.row, settledState: believed.kind }
    return { ...common, ...before, op, after: row, settledState: null }
  }

  /** An absent key that is about to be published has its partition from now on. */
  #place(key: string, partition: number): void {
    const nothing = { kind: 'absent', row: null, muted: null, run: -1, isUndecided: false } as const
    this.#state.set(key, { ...nothing, partition })
  }

  #partitionOf(key: string): number | undefined {
    return this.#state.get(key)?.partition
  }

  /** The appends of a slice, which a death may cut anywhere. */
  #append(start: Position, found: readonly StreamChange[], keys: Set<string>): void {
    const { partitions, run, random, mistake, onPublish } = this.#options
    const slice = (this.#slice += 1)
    this.#owing.set(slice, { start, keys })
    const from = mistake === 'passes-unwritten' ? this.#position : this.#from(start)
    for (const change of found) this.#inFlight.set(change.key, { slice, change })
    const byPartition = Map.groupBy(found, ({ key }) => this.#partitionOf(key) ?? 0)
    // A partition without changes needs no marker. One of them has one, so that the position is told.
    const told = byPartition.size === 0 ? [[0, []] as const] : [...byPartition]
    const appends = told.map(([index, changes]) => {
      const items = partitions[index]?.changes ?? []
      const sent = changes.filter(({ op }) => op !== 'settled').toSorted(inOrder)
      const settled = changes.filter(({ op }) => op === 'settled')
      const published = [...settled, ...sent].map(change => () => {
        const whole = { ...change, slice, seq: changesIn(items, run) }
        this.#inFlight.set(change.key, { slice, change: whole })
        this.#published.set(change.key, { order: change.order, row: change.after })
        items.push({ kind: 'change', change: whole })
        onPublish(whole)
      })
      const ended = settled.map(
        ({ key }) =>
          () =>
            partitions[index]?.retry.delete(key),
      )
      return [...published, () => items.push({ kind: 'slice', run, slice, from }), ...ended]
    })
    this.#writes = [...shuffled(appends, random).flat(), () => this.#written(found)]
  }

  #written(found: readonly StreamChange[]): void {
    for (const { key } of found) this.#settleDebt(key)
  }

  /** The key is published as the source has it. */
  #settleDebt(key: string): void {
    if (this.#held.has(key) && this.#options.mistake !== 'forgets-held') return
    for (const { keys } of this.#owing.values()) keys.delete(key)
  }

  /** Where the entries begin that are not all in the topics yet. */
  #from(start: Position): Position {
    for (const [slice, { start: of, keys }] of this.#owing) {
      if (this.#options.mistake === 'forgets-held')
        for (const key of keys) if (this.#held.has(key)) keys.delete(key)
      if (keys.size > 0 || slice === this.#slice) return of
      this.#owing.delete(slice)
    }
    return start
  }
}

const ORDER: readonly StreamChange['op'][] = ['removed', 'changed', 'added']

function inOrder(a: StreamChange, b: StreamChange): number {
  return ORDER.indexOf(a.op) - ORDER.indexOf(b.op)
}

function changesIn(items: readonly Item[], run: number): number {
  return items.filter(item => item.kind === 'change' && item.change.run === run).length
}
