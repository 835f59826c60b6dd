/**
 * Rows as JSON text, the form in which they are stored: an object by column name. The model says the type of
 * a member, not the text, so that a stored row outlives changes of the model. Numbers that JSON does not keep
 * are text (`"NaN"`, `"-0"`, integers beyond the safe range), decimals and JSON are text, bytes are base64.
 */
import {
  type Column,
  type ColumnType,
  Decimal,
  JsonText,
  type Row,
  type Value,
} from '@sluice/contracts/values'
import { membersOf, setMember, valueReader } from '@sluice/domain/value-reader'

/** True for JSON, other than null, that is a value of the type. */
type Fitting = (json: unknown) => boolean

/**
 * Returns whether a stored value fits the present type of its column. The column may have had another type
 * when the row was delivered. JSON distinguishes numbers from texts. The spelling of a text says whether it
 * may be a decimal.
 */
function fittingOf(type: ColumnType): Fitting {
  switch (type.kind) {
    case 'boolean':
      return json => typeof json === 'boolean'
    case 'integer':
    case 'long':
      return isInteger
    case 'float':
    case 'double':
      return json => typeof json === 'number' || (typeof json === 'string' && NO_NUMBERS.has(json))
    case 'decimal':
      return type.scale === 0 ? isInteger : decimalsOf(type.scale)
    case 'bytes':
      return isBase64
    case 'list': {
      const fits = fittingOf(type.of)
      return json => Array.isArray(json) && json.every(item => item === null || fits(item))
    }
    case 'struct':
      return structsOf(type.fields)
    case 'text':
    case 'uuid':
    case 'date':
    case 'time':
    case 'interval':
    case 'timestamp':
    case 'json':
      return json => typeof json === 'string'
    default:
      return type satisfies never
  }
}

/** Numbers that JSON cannot represent. */
const NO_NUMBERS: ReadonlySet<string> = new Set(['NaN', 'Infinity', '-Infinity', '-0'])

/** True for a whole number: a safe integer is a number in JSON, any other is a text. */
function isInteger(json: unknown): boolean {
  if (typeof json === 'number') return Number.isInteger(json)
  return typeof json === 'string' && /^-?[1-9]\d{15,}$/.test(json) && !Number.isSafeInteger(Number(json))
}

/**
 * Accepts only decimals of this scale, since a decimal with more or fewer digits after the point would read
 * differently.
 */
function decimalsOf(scale: number): Fitting {
  const pattern = new RegExp(`^-?\\d+\\.\\d{${scale}}$`)
  return json => typeof json === 'string' && pattern.test(json)
}

function isBase64(json: unknown): boolean {
  return typeof json === 'string' && json.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(json)
}

/** Accepts structs whose fields fit, and that have no other members with a value. */
function structsOf(fields: readonly Column[]): Fitting {
  const fittings = new Map(fields.map(({ name, type }) => [name, fittingOf(type)]))
  return json =>
    typeof json === 'object' &&
    json !== null &&
    !Array.isArray(json) &&
    Object.entries(json).every(
      ([name, member]: [string, unknown]) => member === null || fittings.get(name)?.(member) === true,
    )
}

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/**
 * Returns a row as it is stored; `columns` are its own. Only a row with members that JSON changes is copied.
 */
export function encodeRow(row: Row, columns: readonly string[]): string {
  let copy: { [name: string]: Value } | null = null
  for (const name of columns) {
    const value = row[name] ?? null
    if (isOwnJson(value)) continue
    copy ??= { ...row }
    setMember(copy, name, toJson(value))
  }
  const text = JSON.stringify(copy ?? row)
  // JSON.stringify writes a lone surrogate as an escape that other readers refuse. It stands for U+FFFD
  // (contracts/values.ts).
  return text.includes('\\ud') ? JSON.stringify(wellFormed(toJson(row))) : text
}

/** Returns the values of a row as a JSON array, without their names. `columns` are the row's own. */
export function encodeValues(row: Row, columns: readonly string[]): string {
  const values = columns.map(name => toJson(row[name] ?? null))
  const text = JSON.stringify(values)
  return text.includes('\\ud') ? JSON.stringify(wellFormed(values)) : text
}

function isOwnJson(value: Value): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
    default:
      return value === null
  }
}

function toJson(value: Value): Json {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : Object.is(value, -0)
          ? '-0'
          : String(value)
    case 'bigint':
      return value.toString()
    case 'object':
      return value === null ? null : objectToJson(value)
    default:
      return value
  }
}

function objectToJson(value: object): Json {
  if (value instanceof Decimal || value instanceof JsonText) return value.text
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  if (Array.isArray(value)) return value.map(toJson)
  return Object.fromEntries(
    Object.entries(value).map(([name, member]: [string, Value]) => [name, toJson(member)]),
  )
}

function wellFormed(value: Json): Json {
  if (typeof value === 'string') return value.toWellFormed()
  if (Array.isArray(value)) return value.map(wellFormed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name.toWellFormed(), wellFormed(member)]),
  )
}

/**
 * Makes a reader of stored rows. The rows have exactly these columns, in their order, with null for one that
 * the stored row lacks. A value that does not fit its column, which had another type then, stays as JSON has
 * it: templates see the row as it was delivered.
 */
export function storedRowReader(columns: readonly Column[]): (json: unknown) => Row | null {
  const readers = columns.map(({ name, type }) => ({ name, read: fittingReader(type) }))
  return json => membersOf(json, readers)
}

/**
 * Makes a reader of rows that `encodeValues` has written with the columns `stored`. The rows have those of
 * `columns` that were stored, in the order of `columns`. Values that do not fit stay as they are, as above.
 */
export function storedValuesReader(
  stored: readonly string[],
  columns: readonly Column[],
): (json: unknown) => Row | null {
  const readers = columns.flatMap(column => {
    const index = stored.indexOf(column.name)
    return index < 0 ? [] : [{ name: column.name, index, read: fittingReader(column.type) }]
  })
  return json => {
    if (!Array.isArray(json)) return null
    const row: { [name: string]: Value } = {}
    for (const { name, index, read } of readers) setMember(row, name, read(json[index] ?? null))
    return row
  }
}

/** Makes a reader of a stored value, which may have had another type. */
function fittingReader(type: ColumnType): (json: unknown) => Value {
  const fits = fittingOf(type)
  const read = valueReader(type)
  return json => (json === null || fits(json) ? read(json) : (json as Json))
}
