/**
 * A table whose changes a connector writes to a log, one transaction behind the other. The connector may
 * repeat what it has written, and the log forgets its oldest entries after a time.
 */
import type { Random } from '@sluice/testkit/random'
import { KEYS, type Row } from '../plan.ts'
import type { Mistake } from './mistakes.ts'

/** One change of a row. `order` is its place in the log, and rises with each change. */
export interface Entry {
  readonly order: number
  readonly key: string
  readonly row: Row | null
}

const MAX_OPEN = 3

/** A change of a transaction that is open. `written` counts the changes in the order of writing. */
interface Write extends Omit<Entry, 'order'> {
  readonly written: number
}

/** How many entries a connector repeats at most after it was restarted. */
const MAX_REPEATED = 6

export class Source {
  readonly #random: Random
  readonly #mistake: Mistake | null
  /** The changes of a transaction that is open while others commit. */
  readonly #open: Write[] = []
  readonly #log: Entry[] = []
  readonly table = new Map<string, Row>()
  /** The newest change of each key, also of those that are gone. */
  readonly orders = new Map<string, number>()
  /** The offset of the oldest entry that the log still has. */
  start = 0
  order = 0

  constructor(random: Random, mistake: Mistake | null) {
    this.#random = random
    this.#mistake = mistake
  }

  /** The offset behind the newest entry. */
  get end(): number {
    return this.#log.length
  }

  read(from: number, to: number): readonly Entry[] {
    if (from < this.start) throw new Error(`the log begins at ${this.start}, and ${from} was asked for`)
    return this.#log.slice(from, to)
  }

  edit(): void {
    const { length } = this.#open
    if (length === MAX_OPEN || (length > 0 && this.#random.chance(0.5))) this.#commit(this.#open.splice(0))
    const write = this.#write()
    if (this.#random.chance(0.3)) this.#open.push(write)
    else this.#commit([write])
  }

  /** Few values, so that rows often become what they were before. An open transaction locks its rows. */
  #write(): Write {
    const key = this.#random.pick(KEYS.filter(each => this.#open.every(open => open.key !== each)))
    const isRemoved = this.table.has(key) && this.#random.chance(0.25)
    if (this.#mistake === 'orders-by-writing') this.order += 1
    return { key, row: isRemoved ? null : { v: this.#random.below(3), w: 0 }, written: this.order }
  }

  #commit(writes: readonly Write[]): void {
    for (const [index, { key, row, written }] of writes.entries()) {
      if (row === null) this.table.delete(key)
      else this.table.set(key, row)
      const isSame = index > 0 && this.#mistake === 'orders-by-transaction'
      if (!isSame && this.#mistake !== 'orders-by-writing') this.order += 1
      const order = this.#mistake === 'orders-by-writing' ? written : this.order
      this.orders.set(key, order)
      this.#log.push({ order, key, row })
    }
  }

  repeat(): void {
    this.#log.push(...this.#log.slice(-1 - this.#random.below(MAX_REPEATED)))
  }

  /** Forgets entries that may not have been read. */
  forget(): void {
    this.start += this.#random.below(this.end - this.start + 1)
  }
}
