/**
 * Rows as JSON text, the form in which they are stored: an object by column name. Which type a member has is
 * said by the model, not by the text, so that a stored row outlives changes of the model. Numbers that JSON
 * does not keep are text (`"NaN"`, `"-0"`, integers beyond the safe range), decimals and JSON are text,
 * bytes are base64.
 */
import {
  type Column,
  type ColumnType,
  Decimal,
  JsonText,
  type Row,
  shortestOfFloat,
  type Value,
} from '@sluice/contracts/values'
import { fittingOf } from '../diff/fitting-values.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/**
 * A row as stored; `columns` are its own. Most members are their own JSON, so that the row needs no copy, or
 * a copy with few exceptions.
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
  // A lone surrogate is written as an escape that readers of JSON refuse; it stands for U+FFFD
  // (contracts/values.ts).
  return text.includes('\\ud') ? JSON.stringify(wellFormed(toJson(row))) : text
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

/** Makes one value of a column out of its JSON; null where that is no value of its type. */
export type ValueReader = (json: unknown) => Value

/**
 * A reader of rows as stored: exactly the columns, in their order; null for a column that the stored row
 * lacks. A value that does not fit its column, which had another type, stays as JSON has it: the row is seen
 * as it was delivered.
 */
export function storedRowReader(columns: readonly Column[]): (json: unknown) => Row | null {
  const readers = columns.map(({ name, type }) => {
    const fits = fittingOf(type)
    const read = valueReader(type)
    return { name, read: (json: unknown) => (json === null || fits(json) ? read(json) : (json as Json)) }
  })
  return json => membersOf(json, readers)
}

/** A reader of structs as they are extracted: exactly the fields, in their order. */
function structReader(fields: readonly Column[]): ValueReader {
  const readers = fields.map(({ name, type }) => ({ name, read: valueReader(type) }))
  return json => membersOf(json, readers)
}

function membersOf(
  json: unknown,
  readers: readonly { readonly name: string; readonly read: ValueReader }[],
): Row | null {
  if (typeof json !== 'object' || json === null) return null
  const row: { [name: string]: Value } = {}
  for (const { name, read } of readers) setMember(row, name, read(memberOf(json, name)))
  return row
}

/** Sets a member of any name; `__proto__` by plain assignment would set no member. */
export function setMember(row: { [name: string]: Value }, name: string, value: Value): void {
  if (name === '__proto__')
    Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true })
  else row[name] = value
}

function memberOf(json: object, name: string): unknown {
  return Object.hasOwn(json, name) ? (json as { readonly [name: string]: unknown })[name] : null
}

const DOUBLE_WORDS: { readonly [text: string]: number } = {
  nan: Number.NaN,
  '-nan': Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
}

function readBoolean(json: unknown): Value {
  return typeof json === 'boolean' ? json : json === 'true' ? true : json === 'false' ? false : null
}

/** Numbers while safe, bigints beyond. */
function readInteger(json: unknown): Value {
  if (typeof json === 'number') return json
  if (typeof json !== 'string' || !/^[+-]?\d+$/.test(json)) return null
  const number = Number(json)
  return Number.isSafeInteger(number) ? number : BigInt(json)
}

function readDouble(json: unknown): Value {
  if (typeof json === 'number') return json
  if (typeof json !== 'string' || json === '') return null
  const word = DOUBLE_WORDS[json.toLowerCase()]
  if (word !== undefined) return word
  const number = Number(json)
  return Number.isNaN(number) && json !== 'NaN' ? null : number
}

/** DuckDB does not print the shortest decimal of each float. What was stored is a number already. */
function readFloat(json: unknown): Value {
  const value = readDouble(json)
  return typeof json === 'string' && typeof value === 'number' ? shortestOfFloat(Math.fround(value)) : value
}

function readText(json: unknown): Value {
  switch (typeof json) {
    case 'string':
      return json
    case 'number':
    case 'boolean':
      return String(json)
    case 'object':
      return json === null ? null : JSON.stringify(json)
    default:
      return null
  }
}

function readJsonText(json: unknown): Value {
  const text = readText(json)
  return typeof text === 'string' ? new JsonText(text) : null
}

function readDecimal(json: unknown): Value {
  return typeof json === 'string' || typeof json === 'number' ? new Decimal(String(json)) : null
}

function readBytes(json: unknown): Value {
  return typeof json === 'string' ? new Uint8Array(Buffer.from(json, 'base64')) : null
}

/** A reader for values of a column of the given type. */
export function valueReader(type: ColumnType): ValueReader {
  switch (type.kind) {
    case 'boolean':
      return readBoolean
    case 'integer':
    case 'long':
      return readInteger
    case 'float':
      return readFloat
    case 'double':
      return readDouble
    case 'decimal':
      return type.scale === 0 ? readInteger : readDecimal
    case 'bytes':
      return readBytes
    case 'list': {
      const read = valueReader(type.of)
      return json => (Array.isArray(json) ? json.map(read) : null)
    }
    case 'struct':
      return structReader(type.fields)
    case 'text':
    case 'uuid':
    case 'date':
    case 'time':
    case 'interval':
    case 'timestamp':
      return readText
    case 'json':
      return readJsonText
    default:
      return type satisfies never
  }
}
