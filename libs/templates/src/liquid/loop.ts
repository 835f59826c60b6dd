import { Printable } from '../values/print-value.ts'

interface LoopPlace {
  /** Shopify's name of the loop: `item-list`. */
  readonly name?: string
  /** The `forloop` around this one. */
  readonly parent?: unknown
  /** The width of a table. */
  readonly columns?: number
}

/** `forloop` and `tablerowloop`: the place that a loop has reached. */
export class Loop extends Printable {
  index0 = 0
  readonly #length: number
  readonly #place: LoopPlace

  constructor(length: number, place: LoopPlace) {
    super()
    this.#length = length
    this.#place = place
  }

  read(name: string): unknown {
    const { columns = 0, parent, name: ownName } = this.#place
    if (name === 'parentloop') return parent
    if (name === 'name') return ownName
    return Object.hasOwn(READERS, name) ? READERS[name]?.(this.index0, this.#length, columns) : undefined
  }

  override printed(): unknown {
    const isTable = this.#place.columns !== undefined
    const names = Object.keys(READERS).filter(name => isTable || !TABLE_NAMES.has(name))
    return Object.fromEntries(names.map(name => [name, this.read(name)]))
  }
}

const READERS: { readonly [name: string]: (index0: number, length: number, columns: number) => unknown } = {
  index: index0 => index0 + 1,
  index0: index0 => index0,
  rindex: (index0, length) => length - index0,
  rindex0: (index0, length) => length - index0 - 1,
  first: index0 => index0 === 0,
  last: (index0, length) => index0 === length - 1,
  length: (_index0, length) => length,
  row: (index0, _length, columns) => Math.floor(index0 / columns) + 1,
  col: (index0, _length, columns) => (index0 % columns) + 1,
  col0: (index0, _length, columns) => index0 % columns,
  col_first: (index0, _length, columns) => index0 % columns === 0,
  col_last: (index0, _length, columns) => (index0 % columns) + 1 === columns,
}
const TABLE_NAMES = new Set(['row', 'col', 'col0', 'col_first', 'col_last'])

/** The properties of each kind of loop. */
export const LOOP_NAMES: { readonly [kind in 'forloop' | 'tablerowloop']: readonly string[] } = {
  forloop: [...Object.keys(READERS).filter(name => !TABLE_NAMES.has(name)), 'name', 'parentloop'],
  tablerowloop: Object.keys(READERS),
}
