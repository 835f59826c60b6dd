/**
 * A table whose changes a connector writes to a log. The connector may repeat what it has written, and the
 * log forgets its oldest entries after a time.
 */
import type { Random } from '@sluice/testkit/random'
import { KEYS, type Row } from '../plan.ts'

/** One change of a row. `order` is its place in the history of the table, and rises with each change. */
export interface Entry {
  readonly order: number
  readonly key: string
  readonly row: Row | null
}

/** How many entries a connector repeats at most after it was restarted. */
const MAX_REPEATED = 6

export class Source {
  readonly #random: Random
  readonly #log: Entry[] = []
  readonly table = new Map<string, Row>()
  /** The newest change of each key, also of those that are gone. */
  readonly orders = new Map<string, number>()
  /** The offset of the oldest entry that the log still has. */
  start = 0
  order = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** The offset behind the newest entry. */
  get end(): number {
    return this.#log.length
  }

  read(from: number, to: number): readonly Entry[] {
    if (from < this.start) throw new Error(`the log begins at ${this.start}, and ${from} was asked for`)
    return this.#log.slice(from, to)
  }

  /** Few values, so that rows often become what they were before. */
  edit(): void {
    const key = this.#random.pick(KEYS)
    const isRemoved = this.table.has(key) && this.#random.chance(0.25)
    const row = isRemoved ? null : { v: this.#random.below(3), w: 0 }
    if (row === null) this.table.delete(key)
    else this.table.set(key, row)
    this.order += 1
    this.orders.set(key, this.order)
    this.#log.push({ order: this.order, key, row })
  }

  repeat(): void {
    this.#log.push(...this.#log.slice(-1 - this.#random.below(MAX_REPEATED)))
  }

  /** Forgets entries that may not have been read. */
  forget(): void {
    this.start += this.#random.below(this.end - this.start + 1)
  }
}
