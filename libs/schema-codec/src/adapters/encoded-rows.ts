/**
 * Rows of changes that stay bytes. The type of a change then skips its rows. A row, or one value of it, is
 * decoded when it is read.
 */
import {
  EncodedRow,
  type EncodedKind,
  type RowCursor,
  type RowLayout,
} from '@sluice/contracts/avro/encoded-row'
import { SluiceError } from '@sluice/contracts/errors'
import type { Row, Value } from '@sluice/contracts/values'
import { avroType, recordReadBy, schemaOf, sluiceType, type Attributes } from './avro.ts'
import { typeForSchema, ValueReader, type AvscType, type NodeBuffer } from './avsc.ts'
import { EXACT_LONG } from './number-types.ts'
import { readerOfSome, type Property } from './record-functions.ts'
import { DATE } from './temporal-types.ts'
import { DoesNotFit, JSON_TEXT, TEXT } from './text-types.ts'

const CHANGE = 'sluice.Change'

const ENCODED_TYPES = new WeakMap<AvscType, AvscType>()

/** Returns a type of changes that reads rows as `EncodedRow`s. Any other type is returned unchanged. */
export function withEncodedRows(type: AvscType): AvscType {
  if (type.name !== CHANGE) return type
  const known = ENCODED_TYPES.get(type)
  if (known !== undefined) return known
  const schema = schemaOf(type)
  if (schema === undefined) return type
  const made = typeForSchema(schema, (part, options) =>
    isRow(part)
      ? recordReadBy(properties => readerOfBytes(part, properties), part, options)
      : sluiceType(part, options),
  )
  ENCODED_TYPES.set(type, made)
  return made
}

function isRow(schema: unknown): schema is Attributes {
  if (typeof schema !== 'object' || schema === null) return false
  const { type, name, namespace } = schema as Attributes
  return type === 'record' && name === 'Row' && namespace === 'sluice'
}

function readerOfBytes(schema: Attributes, properties: readonly Property[]): AvscType['_read'] {
  const layout = new Layout(schema, properties)
  return tap => {
    const start = tap.pos
    tap.pos = layout.end(tap.buf, start)
    return new RecordRow(layout, tap.buf, start)
  }
}

class RecordRow extends EncodedRow {
  readonly layout: Layout
  readonly bytes: NodeBuffer
  readonly start: number

  constructor(layout: Layout, bytes: NodeBuffer, start: number) {
    super()
    this.layout = layout
    this.bytes = bytes
    this.start = start
  }
}

/**
 * The size of a value is a fixed number of bytes, or one of these. `VARINT`: the value is a varint. `SIZED`:
 * a varint before the value has its size. `OTHER`: only reading the value finds its end.
 */
const VARINT = 0
const SIZED = -1
const OTHER = -2

function sizeOf(type: AvscType): number {
  switch (type.typeName) {
    case 'string':
    case 'bytes':
      return SIZED
    case 'int':
    case 'long':
      return VARINT
    case 'boolean':
      return 1
    case 'float':
      return 4
    case 'double':
      return 8
    default:
      return OTHER
  }
}

function kindOf(type: AvscType): Exclude<EncodedKind, 'null' | 'missing'> {
  if (type === TEXT) return 'text'
  if (type === JSON_TEXT || sizeOf(type) === OTHER) return 'nested'
  if (type === EXACT_LONG || (type.typeName === 'int' && type !== DATE)) return 'integer'
  return type.typeName === 'boolean' ? 'boolean' : 'scalar'
}

/** Places of columns without a value. */
const IS_NULL = -1
const IS_MISSING = -2
/** Readers are kept for this many sets of columns. A sync has a set for each op. */
const MAX_READERS = 20

/** The columns that a cursor wants. */
interface Wanted {
  /** For each column of the row, its number in the cursor; −1 for a column that is not wanted. */
  readonly numbers: Int32Array
  /** The offset of each wanted value, by the column's number in the cursor. */
  readonly places: Int32Array
  /** All wanted columns come before this one. */
  readonly upTo: number
}

class Layout implements RowLayout {
  readonly properties: readonly Property[]
  readonly #schema: Attributes
  readonly #sizes: Int32Array
  readonly #whole: AvscType
  readonly #readers = new Map<ReadonlySet<string>, AvscType>()

  constructor(schema: Attributes, properties: readonly Property[]) {
    this.#schema = schema
    this.properties = properties
    this.#sizes = Int32Array.from(properties, ({ type }) => sizeOf(type))
    this.#whole = avroType(schema)
  }

  /** Returns the end of a row that begins at `start`. It is beyond the buffer if the row is cut off. */
  end(bytes: NodeBuffer, start: number): number {
    return this.find(bytes, start, { upTo: this.properties.length, numbers: NO_NUMBERS, places: NO_NUMBERS })
  }

  /** Walks over a row, and notes the offsets of the wanted values. Returns the offset that it reached. */
  find(bytes: NodeBuffer, start: number, { upTo, numbers, places }: Wanted): number {
    const { properties } = this
    const sizes = this.#sizes
    let at = start
    for (let column = 0; column < upTo; column += 1) {
      const property = properties[column]
      if (property === undefined) break
      const number = numbers[column] ?? -1
      if (property.mayBeNull) {
        const branch = bytes[at++]
        if (branch === 0) {
          if (number >= 0) places[number] = IS_NULL
          continue
        }
        if (branch !== 2) throw new DoesNotFit()
      }
      if (number >= 0) places[number] = at
      const fixedSize = sizes[column] ?? OTHER
      if (fixedSize > 0) at += fixedSize
      else if (fixedSize === OTHER) at = endOf(property.type, bytes, at)
      else {
        let byte = bytes[at++] ?? 0
        if (fixedSize === VARINT) {
          for (let left = 9; byte > 127; left -= 1) {
            if (left === 0) throw new DoesNotFit()
            byte = bytes[at++] ?? 0
          }
        } else if (byte < 128) {
          if ((byte & 1) === 1) throw new DoesNotFit()
          at += byte >> 1
        } else {
          const size = sizeAt(bytes, at - 1)
          at = size.at + size.length
        }
      }
    }
    return at
  }

  values({ bytes, start }: RecordRow, columns: ReadonlySet<string> | 'all'): Row {
    return decoded(columns === 'all' ? this.#whole : this.#readerOf(columns), bytes, start) as Row
  }

  cursor(columns: readonly string[]): RowCursor {
    return new Cursor(this, columns)
  }

  #readerOf(columns: ReadonlySet<string>): AvscType {
    const known = this.#readers.get(columns)
    if (known !== undefined) return known
    const schema = this.#schema
    const made = typeForSchema(schema, (part, options) =>
      part === schema
        ? recordReadBy(
            properties => readerOfSome(properties, ({ name }) => columns.has(name)),
            schema,
            options,
          )
        : sluiceType(part, options),
    )
    if (this.#readers.size >= MAX_READERS) this.#readers.clear()
    this.#readers.set(columns, made)
    return made
  }
}

const NO_NUMBERS = new Int32Array()
const NO_BYTES = Buffer.alloc(0) as NodeBuffer

/** Reads a size of several bytes. Returns the size, and the offset of the bytes behind it. */
function sizeAt(bytes: NodeBuffer, start: number): { readonly length: number; readonly at: number } {
  let length = 0
  let at = start
  for (let weight = 1; ; weight *= 128) {
    const byte = bytes[at++] ?? 0
    length += (byte & 0x7f) * weight
    if (byte < 128) break
    if (weight > 2 ** 35) throw new DoesNotFit()
  }
  if (length % 2 === 1) throw new DoesNotFit()
  return { length: length / 2, at }
}

/** Reads a value to find its end. */
function endOf(type: AvscType, bytes: NodeBuffer, start: number): number {
  const { offset } = type.decode(bytes, start)
  if (offset < 0) throw new DoesNotFit()
  return offset
}

const reader = new ValueReader()

function decoded(type: AvscType, bytes: NodeBuffer, start: number): unknown {
  let value: unknown
  try {
    value = reader.read(type, bytes, start)
  } catch (cause) {
    throw new SluiceError('corrupt', 'A row of a change has a value that its schema does not allow.', {
      cause,
    })
  }
  if (reader.end < 0) throw new SluiceError('corrupt', 'A row of a change has an end that is missing.')
  return value
}

class Cursor implements RowCursor {
  readonly #layout: Layout
  readonly #wanted: Wanted
  readonly #kinds: readonly EncodedKind[]
  readonly #types: readonly (AvscType | undefined)[]
  #bytes: NodeBuffer = NO_BYTES
  textEnd = 0

  constructor(layout: Layout, columns: readonly string[]) {
    const { properties } = layout
    const positions = columns.map(column => properties.findIndex(({ name }) => name === column))
    const numbers = new Int32Array(properties.length).fill(-1)
    positions.forEach((position, number) => {
      if (position >= 0) numbers[position] = number
    })
    this.#layout = layout
    this.#wanted = {
      numbers,
      places: new Int32Array(columns.length).fill(IS_MISSING),
      upTo: Math.max(-1, ...positions) + 1,
    }
    this.#types = positions.map(position => properties[position]?.type)
    this.#kinds = this.#types.map(type => (type === undefined ? 'missing' : kindOf(type)))
  }

  open(row: RecordRow): void {
    this.#bytes = row.bytes
    this.#layout.find(row.bytes, row.start, this.#wanted)
  }

  kindOf(column: number): EncodedKind {
    const place = this.#wanted.places[column] ?? IS_MISSING
    if (place < 0) return place === IS_NULL ? 'null' : 'missing'
    const kind = this.#kinds[column] ?? 'missing'
    return kind === 'integer' && !isShort(this.#bytes, place) ? 'scalar' : kind
  }

  textStart(column: number): number {
    const place = this.#wanted.places[column] ?? 0
    const byte = this.#bytes[place] ?? 0
    if (byte < 128) {
      this.textEnd = place + 1 + (byte >> 1)
      return place + 1
    }
    const { at, length } = sizeAt(this.#bytes, place)
    this.textEnd = at + length
    return at
  }

  integer(column: number): number {
    let at = this.#wanted.places[column] ?? 0
    if (this.#kinds[column] === 'boolean') return this.#bytes[at] ?? 0
    let coded = 0
    for (let weight = 1; ; weight *= 128) {
      const byte = this.#bytes[at++] ?? 0
      coded += (byte & 0x7f) * weight
      if (byte < 128) return coded % 2 === 0 ? coded / 2 : -(coded + 1) / 2
    }
  }

  value(column: number): Value {
    const place = this.#wanted.places[column] ?? IS_NULL
    const type = this.#types[column]
    return place < 0 || type === undefined ? null : (decoded(type, this.#bytes, place) as Value)
  }
}

/** True for a varint of at most 49 bits, which a JavaScript number holds exactly. */
function isShort(bytes: NodeBuffer, start: number): boolean {
  for (let at = start; at < start + 7; at += 1) if ((bytes[at] ?? 0) < 128) return true
  return false
}
