/**
 * Encodes changes of rows that come by column (contracts/column-values.ts), into the same bytes as `encode`.
 * The bytes that all changes of a frame share are encoded once. For each change, only its seq, its key and
 * its row are written, and texts are copied as bytes.
 */
import type { ColumnRows, ColumnValues, TextValues } from '@sluice/contracts/column-values'
import { SluiceError } from '@sluice/contracts/errors'
import type { ChangeFrame, RowsEncoder } from '../port.ts'
import { nullability } from './record-functions.ts'
import type { AvscType, RecordType } from './avsc.ts'
import { putDecimal, putDouble, putFixed, putFloat, putLong, putText } from './put-values.ts'

/** The fields of a change that differ between the changes of a frame, in the order of the schema. */
const VARYING = ['seq', 'key', 'after'] as const

/** A number, or the length of a text, takes at most this many bytes. */
const MAX_NUMBER_BYTES = 10
/** The number of the branch comes before the value of a column that may be null. */
const NULL_BRANCH = 0
const OTHER_BRANCH = 2
/** Each field that all changes share takes fewer bytes than this. */
const MAX_SHARED_BYTES = 1 << 16

/** Writes the value that a column has in a row. */
type PutValue = (into: Uint8Array, at: number, row: number) => number

const PUT_NUMBER: { readonly [avroType: string]: (into: Uint8Array, at: number, value: number) => number } = {
  boolean: (into, at, value) => {
    into[at] = value
    return at + 1
  },
  int: putLong,
  long: putLong,
  float: putFloat,
  double: putDouble,
  bytes: putDecimal,
}

/**
 * Makes the frame of changes like `change`. `header` comes before each record. Throws `internal` for a schema
 * that is not of changes.
 */
export function frameOf(type: AvscType, header: Uint8Array, change: object): ChangeFrame {
  const { fields } = type as RecordType
  const places = VARYING.map(name => fields.findIndex(field => field.name === name))
  if (places.some((place, i) => place <= (places[i - 1] ?? -1)))
    throw new SluiceError('internal', `${type.name ?? 'a schema'} is no schema of changes`)
  const values = change as { readonly [name: string]: unknown }
  const parts = [...places, fields.length].map((end, i) => {
    const start = (places[i - 1] ?? -1) + 1
    return Buffer.concat(
      fields.slice(start, end).map(field => encoded(field.type, values[field.name] ?? null)),
    )
  })
  const [first = header, ...rest] = parts
  const framed = [Buffer.concat([header, first]), ...rest]
  return { parts: framed, bytes: framed.reduce((sum, { length }) => sum + length, 0) }
}

function encoded(type: AvscType, value: unknown): Uint8Array {
  const buffer = Buffer.alloc(MAX_SHARED_BYTES)
  const end = type.encode(value, buffer, 0)
  if (end < 0) throw new SluiceError('internal', 'a field that all changes share is too large')
  return buffer.subarray(0, end)
}

export class ColumnRowsEncoder implements RowsEncoder {
  readonly #rows: ColumnRows
  readonly #puts: readonly PutValue[]

  /** Throws `internal` if the rows have other columns than the schema. */
  constructor(type: AvscType, rows: ColumnRows) {
    const after = (type as Partial<RecordType>).fields?.find(({ name }) => name === 'after')
    const row = after === undefined ? undefined : (nullability(after.type).type as Partial<RecordType>)
    const columns = row?.fields ?? []
    if (columns.length !== rows.columns.length)
      throw new SluiceError('internal', `rows of ${rows.columns.length} columns came for ${columns.length}`)
    this.#rows = rows
    this.#puts = rows.columns.map((values, i) => putterOf(values, nullability(columns[i]?.type ?? type).type))
  }

  maxBytes(frame: ChangeFrame, row: number): number {
    const { keys, columns } = this.#rows
    let bytes = frame.bytes + 2 * MAX_NUMBER_BYTES + 1 + (keys.lengths[row] as number)
    for (const values of columns) {
      bytes += 1 + MAX_NUMBER_BYTES
      if (values.kind === 'texts') bytes += Math.max(0, values.lengths[row] as number)
    }
    return bytes
  }

  write(
    into: Uint8Array,
    start: number,
    { frame, row, seq }: { frame: ChangeFrame; row: number; seq: number },
  ): number {
    const [head, beforeKey, beforeRow, end] = frame.parts as Quadruple
    let at = putFixed(into, start, head)
    at = putLong(into, at, seq)
    at = putFixed(into, at, beforeKey)
    at = putText(into, at, this.#rows.keys, row)
    at = putFixed(into, at, beforeRow)
    into[at++] = OTHER_BRANCH
    for (const put of this.#puts) at = put(into, at, row)
    at = putFixed(into, at, end)
    if (at > into.length) throw new SluiceError('internal', `a change of ${at - start} bytes had no room`)
    return at
  }
}

type Quadruple = readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array]

function putterOf(values: ColumnValues, { typeName }: AvscType): PutValue {
  if (values.kind === 'texts') {
    if (typeName === 'string') return putTextOrNull(values)
    throw new SluiceError('internal', `texts came for a column of Avro's type ${typeName}`)
  }
  const put = PUT_NUMBER[typeName]
  if (put === undefined)
    throw new SluiceError('internal', `numbers came for a column of Avro's type ${typeName}`)
  const { numbers } = values
  return (into, at, row) => {
    const number = numbers[row] as number
    const isNull = Number.isNaN(number)
    into[at] = isNull ? NULL_BRANCH : OTHER_BRANCH
    return isNull ? at + 1 : put(into, at + 1, number)
  }
}

function putTextOrNull(values: TextValues): PutValue {
  const { lengths } = values
  return (into, at, row) => {
    const isNull = (lengths[row] as number) < 0
    into[at] = isNull ? NULL_BRANCH : OTHER_BRANCH
    return isNull ? at + 1 : putText(into, at + 1, values, row)
  }
}
