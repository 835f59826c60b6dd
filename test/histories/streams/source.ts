/**
 * A table whose changes a connector writes to a log of several partitions, one transaction behind the other.
 * The connector may repeat what it has written, and the log forgets its oldest entries after a time. The log
 * may get more partitions, rows may change without an entry, and the order may begin anew.
 */
import type { Random } from '@sluice/testkit/random'
import { EVERY_KEY, KEYS, type Row } from '../plan.ts'
import type { Mistake } from './mistakes.ts'

/**
 * log: the order of an entry is its place in the log of the database, whichever partition it goes to.
 * offset: it is the entry's offset in its partition, and says nothing of other partitions.
 */
export type OrderKind = 'log' | 'offset'

/** One change of a row. */
export interface Entry {
  readonly kind: 'row'
  /** Rises with each change. */
  readonly order: number
  readonly key: string
  readonly row: Row | null
  /** True if the entry does not say what `w` is, since it has not changed. */
  readonly isPartial: boolean
  readonly history: number
  /** Counts the changes of the key. The judge alone looks at it. */
  readonly version: number
}

/**
 * Rows have changed without an entry: by TRUNCATE, by a gap that ends with a snapshot, or since the order has
 * begun anew. `history` counts how often it has.
 */
export interface Break {
  readonly kind: 'break'
  readonly order: number
  readonly history: number
}

/** All rows of the table. They are at least as new as the order, and in an exact read not newer either. */
export interface TableRead {
  readonly history: number
  readonly rows: ReadonlyMap<string, { readonly row: Row; readonly version: number }>
  /** Of each key, also of those that are gone. */
  readonly versions: ReadonlyMap<string, number>
  /** By partition: where the log goes on, and the highest order that the rows surely include. */
  readonly at: readonly Place[]
  readonly isExact: boolean
}

/** A place in a partition of the log. */
export interface Place {
  readonly offset: number
  /** The highest order of all entries before the offset. The log may have entries below it once more. */
  readonly highest: number
}

interface Partition {
  readonly log: (Entry | Break)[]
  /** The offset of the oldest entry that the log still has. */
  start: number
  /** The first offset that the connector may repeat: what it wrote to fewer partitions stays away. */
  repeatable: number
}

export interface SourceOptions {
  readonly orders: OrderKind
  readonly partitions: number
  readonly hasTwins: boolean
  /** Entries may lack the value that has not changed. */
  readonly hasPartials: boolean
  readonly isExact: boolean
}

const MAX_OPEN = 3
const MAX_PARTITIONS = 3

/** A change of a transaction that is open. `written` counts the changes in the order of writing. */
interface Write {
  readonly key: string
  readonly row: Row | null
  readonly written: number
}

/** How many entries a connector repeats at most after it was restarted. */
const MAX_REPEATED = 6

export class Source {
  readonly #random: Random
  readonly #mistake: Mistake | null
  readonly #options: SourceOptions
  /** The changes of a transaction that is open while others commit. */
  readonly #open: Write[] = []
  readonly #partitions: Partition[]
  readonly #versions = new Map<string, number>()
  readonly table = new Map<string, Row>()
  #history = 0
  #order = 0

  constructor(random: Random, mistake: Mistake | null, options: SourceOptions) {
    this.#random = random
    this.#mistake = mistake
    this.#options = options
    this.#partitions = Array.from({ length: options.partitions }, () => newPartition(0))
  }

  /** The offsets behind the newest entries. */
  get ends(): readonly number[] {
    return this.#partitions.map(({ log }) => log.length)
  }

  get orders(): OrderKind {
    return this.#options.orders
  }

  /** True if the log has forgotten entries from this place on. */
  isLost(partition: number, { offset }: Place): boolean {
    return offset < (this.#partitions[partition]?.start ?? 0)
  }

  read(partition: number, from: number, to: number): readonly (Entry | Break)[] {
    const { log, start } = this.#partitions[partition] ?? newPartition(0)
    if (from < start) throw new Error(`the log begins at ${start}, and ${from} was asked for`)
    return log.slice(from, to)
  }

  edit(): void {
    const { length } = this.#open
    if (length === MAX_OPEN || (length > 0 && this.#random.chance(0.5))) this.#commitOpen()
    const write = this.#write()
    if (this.#random.chance(0.3)) this.#open.push(write)
    else this.#commit([write])
  }

  /** Few values, so that rows often become what they were before. An open transaction locks its rows. */
  #write(): Write {
    const keys = this.#options.hasTwins ? EVERY_KEY : KEYS
    const key = this.#random.pick(keys.filter(each => this.#open.every(open => open.key !== each)))
    const isRemoved = this.table.has(key) && this.#random.chance(0.25)
    if (this.#mistake === 'orders-by-writing') this.#order += 1
    const before = this.table.get(key)
    const w = before !== undefined && this.#random.chance(0.6) ? before.w : this.#random.below(2)
    return { key, row: isRemoved ? null : { v: this.#random.below(3), w }, written: this.#order }
  }

  #commitOpen(): void {
    this.#commit(this.#open.splice(0))
  }

  #commit(writes: readonly Write[]): void {
    for (const [index, { key, row, written }] of writes.entries()) {
      const isSame = index > 0 && this.#mistake === 'orders-by-transaction'
      if (!isSame && this.#mistake !== 'orders-by-writing') this.#order += 1
      const order = this.#mistake === 'orders-by-writing' ? written : this.#order
      const before = this.table.get(key)
      const mayLack = before !== undefined && row !== null && before.w === row.w
      const isPartial = this.#options.hasPartials && mayLack && this.#random.chance(0.5)
      const version = this.#set(key, row)
      this.#append(this.#partitionOf(key), {
        kind: 'row',
        order,
        key,
        row,
        isPartial,
        version,
        history: this.#history,
      })
    }
  }

  #set(key: string, row: Row | null): number {
    if (row === null) this.table.delete(key)
    else this.table.set(key, row)
    const version = (this.#versions.get(key) ?? 0) + 1
    this.#versions.set(key, version)
    return version
  }

  #partitionOf(key: string): number {
    return EVERY_KEY.indexOf(key) % this.#partitions.length
  }

  #append(partition: number, entry: Entry | Break): void {
    const log = this.#partitions[partition]?.log
    const order = this.#options.orders === 'offset' ? (log?.length ?? 0) + 1 : entry.order
    log?.push({ ...entry, order })
  }

  /** Where an offset is the order, an entry that comes twice is a change like any other. */
  repeat(): void {
    if (this.#options.orders === 'offset') return
    for (const { log, repeatable } of this.#partitions) {
      const from = Math.max(repeatable, log.length - 1 - this.#random.below(MAX_REPEATED))
      log.push(...log.slice(from))
    }
  }

  /** Forgets entries that may not have been read. */
  forget(): void {
    const partition = this.#random.pick(this.#partitions)
    partition.start += this.#random.below(partition.log.length - partition.start + 1)
  }

  /** One more partition. Keys move, and what was written before stays where it is. */
  grow(): void {
    if (this.#partitions.length === MAX_PARTITIONS) return
    this.#commitOpen()
    this.#partitions.push(newPartition(0))
    for (const each of this.#partitions) each.repeatable = each.log.length
  }

  /** Rows change without an entry of their own. */
  breakOff(): void {
    this.#commitOpen()
    const isTruncated = this.#random.chance(0.3)
    for (const key of this.table.keys()) {
      if (isTruncated || this.#random.chance(0.3)) this.#set(key, null)
      else if (this.#random.chance(0.3))
        this.#set(key, { v: this.#random.below(3), w: this.#random.below(2) })
    }
    const isAnew = !isTruncated && this.#random.chance(0.5)
    this.#order = isAnew ? 1 : this.#order + 1
    this.#history += isAnew ? 1 : 0
    const at = this.#random.below(this.#partitions.length)
    this.#append(at, { kind: 'break', order: this.#order, history: this.#history })
    // A connector does not repeat what another history had.
    if (isAnew) for (const each of this.#partitions) each.repeatable = each.log.length
  }

  /** Reads the whole table. Unless that is exact, rows change between the look at the order and the read. */
  readTable(): TableRead {
    const { isExact } = this.#options
    const before = this.#places()
    const edits = isExact ? 0 : this.#random.below(3)
    const rows = this.#mistake === 'compares-at-later-order' ? this.#rows() : null
    const versions = new Map(this.#versions)
    const { length } = this.#partitions
    for (let edit = 0; edit < edits; edit += 1) this.edit()
    if (length !== this.#partitions.length) throw new Error('partitions were added meanwhile')
    if (rows !== null) return { history: this.#history, rows, versions, at: this.#places(), isExact }
    const now = new Map(this.#versions)
    return { history: this.#history, rows: this.#rows(), versions: now, at: before, isExact }
  }

  #rows(): TableRead['rows'] {
    return new Map(
      [...this.table].map(([key, row]) => [key, { row, version: this.#versions.get(key) ?? 0 }] as const),
    )
  }

  #places(): readonly Place[] {
    return this.#partitions.map(({ log: { length } }) => ({
      offset: length,
      highest: this.#options.orders === 'offset' ? length : this.#order,
    }))
  }
}

function newPartition(start: number): Partition {
  return { log: [], start, repeatable: start }
}
