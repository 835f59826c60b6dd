/**
 * The detector of a stream. It reads the source slice by slice, decides by the state of each key, and
 * publishes what is needed. A key has one change on its way at a time: a later one is held back until
 * delivery has finished the one before, and so is a change of its twin.
 */
import type { Random } from '@sluice/testkit/random'
import { folded, type Row } from '../plan.ts'
import { Owing } from '@sluice/change-detector/stream/owing'
import { decideAll, isMeant, isMuted, type Command, type Rules } from './decide-key.ts'
import type { Mistake } from './mistakes.ts'
import type { Entry, Place, Source, TableRead } from './source.ts'
import {
  isNewer,
  lastPosition,
  stateOfChange,
  type Item,
  type KeyState,
  type Order,
  type Partition,
  type Position,
  type States,
  type StreamChange,
  type Wanted,
} from './topics.ts'

export interface DetectorOptions {
  readonly source: Source
  readonly partitions: readonly Partition[]
  readonly run: number
  readonly random: Random
  readonly rules: Rules
  /** The API takes twins for one. */
  readonly foldsKeys: boolean
  readonly isStrict: boolean
  /** As the topics have them. All earlier runs have ended. */
  readonly states: States
  readonly onPublish: (change: StreamChange, isRepeated: boolean) => void
  readonly onTable: (table: TableRead) => void
}

interface InFlight {
  readonly change: StreamChange
  readonly partition: number
  readonly slice: number
}

interface Placed {
  readonly change: StreamChange
  readonly partition: number
  /** A twin is removed. An entry of the key may still be held back. */
  readonly isDoubt: boolean
}

/** How many entries one slice takes from a partition. */
const MAX_SLICE = 4

/** How many keys of a resync one slice takes. */
const MAX_RESYNCED = 2

/** How many rows of a comparison one slice takes. */
const MAX_COMPARED = 3

/** The rows that are still to be compared, and where the source is read on behind them. */
interface Comparison {
  readonly rows: (readonly [string, Wanted])[]
  readonly start: Position
  readonly behind: Position
}

export class StreamDetector {
  readonly #options: DetectorOptions
  readonly #mistake: Mistake | null
  /** The states by the changes that delivery has finished. */
  readonly states: States
  /** The last decision for each key in flight. */
  readonly #published = new Map<string, Wanted>()
  /** The changes that delivery has not finished, by key. */
  readonly #inFlight = new Map<string, InFlight>()
  /** The newest entries of keys in flight. */
  readonly #held = new Map<string, Wanted>()
  /** By slice: where its entries begin, and the keys whose changes are not in the topics yet. */
  #owing = new Owing<Position>()
  /** Null before the first comparison. */
  #position: Position | null
  #comparison: Comparison | null = null
  #slice = 0
  /**
   * The records that are still to be appended, by partition, in stages. A slice does not wait for the one
   * before. Only settled changes are acknowledged before what follows, in all partitions.
   */
  #stages: Map<number, (() => void)[]>[] = [new Map()]
  /** By partition: the slice that was heard of last, and the offset behind it in `changes`. */
  readonly heard: { slice: number; offset: number }[]

  constructor(options: DetectorOptions) {
    const { partitions, states, rules } = options
    this.#options = options
    this.#mistake = rules.mistake
    this.states = states
    this.#position = lastPosition(partitions)
    this.heard = partitions.map(({ changes }) => ({ slice: 0, offset: changes.length }))
  }

  /** True once all that it has read is published and finished, as far as its own work goes. */
  get isIdle(): boolean {
    const { ends } = this.#options.source
    const isBusy = this.#isWriting || this.#inFlight.size > 0 || this.#held.size > 0
    const isAtEnd = ends.every((end, index) => this.#position?.at[index]?.offset === end)
    return !isBusy && isAtEnd && !this.#mustCompare && this.#due.length === 0 && !this.hasWork
  }

  /** True while rows are left that somebody has asked for, or their changes are not in the topics yet. */
  get hasWork(): boolean {
    const isUnwritten = this.#isWriting && this.#mistake !== 'ends-commands-early'
    return isUnwritten || this.#keysOf(this.#options.rules.command).length > 0
  }

  isInFlight(key: string): boolean {
    return this.#inFlight.has(key)
  }

  /** Goes on by one append, or by one slice. `retries`: rows that failed are due. */
  step(retries: boolean): void {
    if (this.#isWriting && this.#options.random.chance(0.7)) this.#write()
    else if (this.#comparison !== null) this.#compare(this.#comparison)
    else if (this.#position === null || this.#mustCompare) this.#beginComparison()
    else this.#readSlice(this.#position, retries)
  }

  get #isWriting(): boolean {
    return this.#stages.some(stage => [...stage.values()].some(({ length }) => length > 0))
  }

  #write(): void {
    const [stage = new Map<number, (() => void)[]>()] = this.#stages
    const lanes = [...stage.values()].filter(({ length }) => length > 0)
    if (lanes.length > 0) this.#options.random.pick(lanes).shift()?.()
    else this.#stages.shift()
  }

  /** A stage that is to be begun once all others are acknowledged. */
  #newStage(): void {
    this.#stages.push(new Map())
  }

  #toWrite(partition: number, writes: readonly (() => void)[]): void {
    if (this.#stages.length === 0) this.#newStage()
    const stage = this.#stages.at(-1)
    stage?.set(partition, [...(stage.get(partition) ?? []), ...writes])
  }

  /** Takes notice of what delivery has finished in a partition. */
  hear(index: number): void {
    const partition = this.#options.partitions[index]
    const heard = this.heard[index]
    const { run } = this.#options
    if (partition === undefined || heard === undefined || partition.finishedRun >= run) return
    if (partition.finishedSlice <= heard.slice) return
    heard.slice = partition.finishedSlice
    heard.offset = 1 + partition.changes.findLastIndex(item => isMarkerOf(item, run, heard.slice))
    for (const [key, { slice, change, partition: of }] of this.#inFlight) {
      if (of !== index || slice > heard.slice) continue
      const isIgnored = this.#mistake === 'ignores-outcomes'
      this.states.set(key, stateOfChange(change, isIgnored ? DELIVERED : partition, index))
      this.#inFlight.delete(key)
      this.#published.delete(key)
    }
  }

  /** Entries are missing, or were read for other columns. */
  get #mustCompare(): boolean {
    const position = this.#position
    if (position === null) return true
    const { source, rules } = this.#options
    if (position.compare !== rules.compare.join() && this.#mistake !== 'keeps-position-at-compare')
      return true
    // Keys have moved, also to partitions that were there before.
    const hasGrown = source.ends.length > position.at.length
    if (hasGrown && this.#mistake !== 'passes-new-partitions') return true
    // A predecessor has begun to compare. What it published counts as newer than the entries of before.
    if (this.#newestEpoch > position.epoch && this.#mistake !== 'leaves-comparison') return true
    return position.at.some((place, index) => source.isLost(index, place) || this.#isBroken(index, place))
  }

  /** The next entry says that others are missing. */
  #isBroken(index: number, { offset, highest }: Place): boolean {
    if (this.#mistake === 'passes-breaks') return false
    const { source } = this.#options
    const [next] = source.read(index, offset, offset + 1)
    const history = this.#position?.history ?? 0
    if (next === undefined || next.history < history) return false
    return next.history > history || (next.kind === 'break' && next.order > highest)
  }

  /** Beyond all that the topics tell, also where a predecessor died before it told its position. */
  get #nextEpoch(): number {
    const told = this.#mistake === 'epochs-by-marker' ? 0 : this.#newestEpoch
    return 1 + Math.max(this.#position?.epoch ?? 0, told)
  }

  get #newestEpoch(): number {
    return Math.max(0, ...[...this.states.values()].map(({ wanted }) => wanted.order.epoch))
  }

  #readSlice(start: Position, retries: boolean): void {
    const { rules } = this.#options
    const newest = new Map<string, Wanted>()
    const at = this.#options.source.ends.map((end, index) => {
      const place = start.at[index] ?? { offset: 0, highest: 0 }
      return this.#readPartition(start, { place, index, end }, newest)
    })
    for (const [key, wanted] of this.#held)
      if (!newest.has(key) && !this.#isBlocked(key)) newest.set(key, wanted)
    if (retries) for (const [key, { wanted }] of this.#due) if (!newest.has(key)) newest.set(key, wanted)
    for (const [key, { wanted }] of this.#keysOf(rules.command).slice(0, MAX_RESYNCED))
      if (!newest.has(key) && !this.#isBlocked(key)) newest.set(key, wanted)
    this.#position = { ...start, at }
    const keys = new Set<string>()
    this.#append(start, this.#decideAll(newest, keys), keys)
  }

  /** Reads some entries, up to the first that says that others are missing. Returns where they end. */
  #readPartition(
    { epoch, history }: Position,
    { place, index, end: last }: { place: Place; index: number; end: number },
    newest: Map<string, Wanted>,
  ): Place {
    const { source, random } = this.#options
    const end = Math.min(last, place.offset + random.below(MAX_SLICE + 1))
    let { offset, highest } = place
    for (const entry of source.read(index, offset, end)) {
      if (this.#isBroken(index, { offset, highest })) break
      offset += 1
      if (entry.kind === 'break' || entry.history < history) continue
      if (entry.order <= highest && this.#mistake !== 'takes-repeats') continue
      highest = Math.max(highest, entry.order)
      const known = newest.get(entry.key) ?? this.#held.get(entry.key) ?? this.#wantedOf(entry.key)
      const order: Order = { epoch, at: entry.order }
      // It was published before a successor read it again.
      if (known !== undefined && !isNewer(order, known.order) && !this.#takesAgain(entry.key)) continue
      newest.set(entry.key, { row: this.#whole(entry, known?.row ?? null), order, version: entry.version })
    }
    return { offset, highest }
  }

  #takesAgain(key: string): boolean {
    const { run } = this.states.get(key) ?? { run: 0 }
    return (
      this.#mistake === 'takes-repeats' || (this.#mistake === 'forgets-orders' && run < this.#options.run)
    )
  }

  /** An entry that lacks a value has that of the row before. */
  #whole({ key, row, isPartial }: Entry, before: Row | null): Row | null {
    if (row === null || !isPartial) return row
    const from = this.#mistake === 'merges-with-delivered' ? this.states.get(key)?.row : before
    return { v: row.v, w: from?.w ?? -1 }
  }

  #wantedOf(key: string): Wanted | undefined {
    return this.#published.get(key) ?? this.states.get(key)?.wanted
  }

  /** The changes of these keys. Those that have to wait are held back. */
  #decideAll(newest: ReadonlyMap<string, Wanted>, keys: Set<string>): readonly Placed[] {
    const { partitions, random, rules, foldsKeys, isStrict, run } = this.#options
    const { states } = this
    const inFlight = this.#inFlight
    const decided = decideAll({ newest, states, partitions, inFlight, foldsKeys, isStrict, rules })
    for (const [key, wanted] of decided.held) {
      this.#held.set(key, wanted)
      if (this.#mistake !== 'forgets-held') keys.add(key)
    }
    for (const key of newest.keys()) if (!decided.held.has(key)) this.#held.delete(key)
    for (const key of decided.done) this.#settleDebt(key, this.#slice)
    const place = { run, slice: 0, seq: 0 }
    return decided.changes.map(({ partition: index, isDoubt, ...found }) => {
      const partition = index ?? random.below(partitions.length)
      const change = { ...found, ...place, wanted: this.#toldOf(found) }
      if (!isDoubt) keys.add(change.key)
      this.#inFlight.set(change.key, { change, partition, slice: this.#slice + 1 })
      this.#published.set(change.key, change.wanted)
      return { change, partition, isDoubt }
    })
  }

  #isBlocked(key: string): boolean {
    if (this.#mistake === 'ignores-twins' || !this.#options.foldsKeys) return this.#inFlight.has(key)
    return [...this.#inFlight.keys()].some(other => folded(other) === folded(key))
  }

  /** Rows that failed or are uncertain, with no change on the way. */
  get #due(): readonly (readonly [string, KeyState])[] {
    const { partitions, rules } = this.#options
    return [...this.states].filter(([key, known]) => {
      const { kind, partition, wanted } = known
      const isUncertain = kind.endsWith('-uncertain') && !isMuted(known, wanted.row, rules.compare)
      return (isUncertain || partitions[partition]?.retry.has(key) === true) && !this.#isBlocked(key)
    })
  }

  #keysOf(command: Command | null): readonly (readonly [string, KeyState])[] {
    const { partitions } = this.#options
    return [...this.states].filter(([key, known]) => {
      if (!isMeant(command, known, this.#mistake) || this.#inFlight.has(key)) return false
      const hasFailed = partitions[known.partition]?.retry.has(key) === true
      // A row that was given up may never have been there.
      const isWanted = known.wanted.row !== null && this.#mistake !== 'resyncs-delivered'
      return hasFailed || (command?.kind === 'resync' && (known.kind !== 'absent' || isWanted))
    })
  }

  /** The whole table takes the place of entries that the log has lost. Nothing may be on its way. */
  #beginComparison(): void {
    if (this.#inFlight.size > 0 || this.#isWriting) return
    const { source, rules, onTable } = this.#options
    const before = this.#position
    const start = before === null ? NOWHERE : this.#from(before)
    const epoch = this.#nextEpoch
    const table = source.readTable()
    onTable(table)
    this.#held.clear()
    this.#owing = new Owing()
    const rows = [...new Set([...this.states.keys(), ...table.rows.keys()])].map(key => {
      const version = table.versions.get(key) ?? 0
      // Older than any entry that is read from now on.
      const order = { epoch, at: 0 }
      return [key, { row: table.rows.get(key)?.row ?? null, order, version }] as const
    })
    const behind = { at: table.at, epoch, history: table.history, compare: rules.compare.join() }
    this.#comparison = { rows, behind, start: this.#mistake === 'passes-uncompared' ? behind : start }
  }

  /** Compares some more rows. Until all are published, a successor compares from the beginning. */
  #compare({ rows, behind, start }: Comparison): void {
    const keys = new Set<string>()
    const found = this.#decideAll(new Map(rows.splice(0, MAX_COMPARED)), keys)
    if (rows.length === 0) {
      this.#comparison = null
      if (keys.size === 0) this.#position = behind
    }
    this.#append(start, found, keys)
    if (rows.length === 0) this.#position = behind
  }

  #toldOf({ op, wanted, after }: Pick<StreamChange, 'op' | 'wanted' | 'after'>): Wanted {
    return this.#mistake === 'forgets-wanted' && op === 'settled' ? { ...wanted, row: after } : wanted
  }

  /** The appends of a slice, which a death may cut anywhere. */
  #append(start: Position, found: readonly Placed[], keys: Set<string>): void {
    const { partitions, run } = this.#options
    const slice = (this.#slice += 1)
    this.#owing.add(slice, { start, keys })
    const now = this.#comparison === null ? (this.#position ?? start) : start
    const from = this.#mistake === 'passes-unwritten' ? now : this.#from(now)
    const byPartition = Map.groupBy(found, ({ partition }) => partition)
    // A partition without changes needs no marker. One of them has one, so that the position is told.
    const told = byPartition.size === 0 ? [[0, []] as const] : [...byPartition]
    let left = told.length
    const written = (): void => {
      left -= 1
      if (left > 0) return
      // A doubt goes with the removal that raises it.
      for (const { change, isDoubt } of found) if (!isDoubt) this.#settleDebt(change.key, slice)
    }
    const isSettling = found.some(({ change: { op } }) => op === 'settled')
    if (isSettling) this.#newStage()
    for (const { change, partition } of found)
      if (change.op === 'settled')
        this.#toWrite(partition, [() => this.#publish({ ...change, slice }, partition)])
    if (isSettling) this.#newStage()
    for (const [index, placed] of told) {
      const items = partitions[index]?.changes ?? []
      const changes = placed.map(({ change }) => change)
      const [settled, sent] = [
        changes.filter(({ op }) => op === 'settled'),
        changes.filter(({ op }) => op !== 'settled').toSorted(inOrder),
      ]
      const published = sent.map(change => () => this.#publish({ ...change, slice }, index))
      const ended = settled.map(change => () => this.#endEntries(change, index))
      const marked = (): void => void items.push({ kind: 'slice', run, slice, from })
      this.#toWrite(index, [...published, marked, ...ended, written])
    }
  }

  #publish(change: StreamChange, index: number): void {
    const { partitions, run, onPublish } = this.#options
    const items = partitions[index]?.changes ?? []
    const whole = { ...change, seq: changesIn(items, run) }
    const last = this.states.get(change.key)?.wanted.order
    this.#inFlight.set(change.key, { slice: change.slice, change: whole, partition: index })
    items.push({ kind: 'change', change: whole })
    onPublish(whole, last !== undefined && !isNewer(change.wanted.order, last))
  }

  #endEntries({ key, settledState }: StreamChange, index: number): void {
    const partition = this.#options.partitions[index]
    partition?.retry.delete(key)
    if (settledState === 'absent') partition?.captured.delete(key)
  }

  /** The key is published as the source had it in this slice. A later slice may owe it again. */
  #settleDebt(key: string, to: number): void {
    if (this.#held.has(key) && this.#mistake !== 'forgets-held') return
    this.#owing.pay(key, this.#mistake === 'pays-later-slices' ? Infinity : to)
  }

  /** Where the entries begin that are not all in the topics yet. */
  #from(now: Position): Position {
    return this.#owing.from(now)
  }
}

/** Nothing was read: a successor compares, too. */
const NOWHERE: Position = { at: [], epoch: 0, history: 0, compare: '' }

/** Topics in which everything was delivered. */
const DELIVERED: Partition = {
  changes: [],
  retry: new Map(),
  captured: new Map(),
  finishedSlice: 0,
  finishedRun: 0,
}

const ORDER: readonly StreamChange['op'][] = ['removed', 'changed', 'added']

function inOrder(a: StreamChange, b: StreamChange): number {
  return ORDER.indexOf(a.op) - ORDER.indexOf(b.op)
}

function isMarkerOf(item: Item, run: number, slice: number): boolean {
  return item.kind === 'slice' && item.run === run && item.slice === slice
}

function changesIn(items: readonly Item[], run: number): number {
  return items.filter(item => item.kind === 'change' && item.change.run === run).length
}
