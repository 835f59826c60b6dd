/**
 * Rows as they are stored: their values as a JSON array, and the id of their shape, which has their columns.
 * The columns of now say how values are read.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Column, Row } from '@sluice/contracts/values'
import { encodeValues, storedValuesReader } from '../sql/row-json.ts'
import type { StreamFile } from './stream-file.ts'

type Read = (json: unknown) => Row | null

interface Shape {
  readonly id: number
  readonly names: readonly string[]
}

export interface StoredRow {
  readonly shape: number
  readonly content: string
}

export class RowShapes {
  readonly #file: StreamFile
  #shapes: Shape[]
  #readers = new Map<number, Read>()
  #columns: readonly Column[] | null = null

  constructor(file: StreamFile) {
    this.#file = file
    this.#shapes = loadShapes(file)
  }

  setColumns(columns: readonly Column[]): void {
    this.#columns = columns
    this.#readers = new Map()
  }

  /** Forgets shapes of a transaction that was rolled back. */
  reload(): void {
    this.#shapes = loadShapes(this.#file)
    this.#readers = new Map()
  }

  store(row: Row): StoredRow {
    const names = Object.keys(row)
    const last = this.#shapes.at(-1)
    const shape = last !== undefined && isEqual(names, last.names) ? last : this.#find(names)
    return { shape: shape.id, content: encodeValues(row, names) }
  }

  /** Throws `corrupt` if the shape is not known, or the content is no row. */
  read({ shape, content }: StoredRow): Row {
    const row = this.#readerOf(shape)(JSON.parse(content))
    if (row === null) throw new SluiceError('corrupt', 'a row of the delivered state is no list of values')
    return row
  }

  #find(names: readonly string[]): Shape {
    const known = this.#shapes.find(shape => isEqual(names, shape.names))
    if (known !== undefined) return known
    const shape = { id: this.#shapes.length, names }
    this.#file.run('INSERT INTO shapes VALUES (?, ?)', shape.id, JSON.stringify(names))
    this.#shapes.push(shape)
    return shape
  }

  #readerOf(id: number): Read {
    const known = this.#readers.get(id)
    if (known !== undefined) return known
    if (this.#columns === null) throw new SluiceError('internal', 'the columns of the rows are not set')
    const shape = this.#shapes[id]
    if (shape === undefined) throw new SluiceError('corrupt', `the delivered state has no shape ${id}`)
    const read = storedValuesReader(shape.names, this.#columns)
    this.#readers.set(id, read)
    return read
  }
}

function loadShapes(file: StreamFile): Shape[] {
  return file.all('SELECT id, columns FROM shapes ORDER BY id').map(([id, columns]) => {
    const names: unknown = JSON.parse(String(columns))
    if (!Array.isArray(names)) throw new SluiceError('corrupt', `shape ${String(id)} is no list of columns`)
    return { id: Number(id), names: names.map(String) }
  })
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index])
}
