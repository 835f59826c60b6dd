/**
 * Makes values of a row out of JSON, as `jsonForm` of `canonical-sql.ts` and the stored rows of a state have
 * it.
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

/** Makes one value of a column out of its JSON; null if it is no value of the type. */
export type ValueReader = (json: unknown) => Value

/** Makes a reader of extracted structs. These have exactly the fields, in their order. */
function structReader(fields: readonly Column[]): ValueReader {
  const readers = fields.map(({ name, type }) => ({ name, read: valueReader(type) }))
  return json => membersOf(json, readers)
}

/** Makes a row with exactly these members, in their order; null for JSON that is no object. */
export function membersOf(
  json: unknown,
  readers: readonly { readonly name: string; readonly read: ValueReader }[],
): Row | null {
  if (typeof json !== 'object' || json === null) return null
  const row: { [name: string]: Value } = {}
  for (const { name, read } of readers) setMember(row, name, read(memberOf(json, name)))
  return row
}

/** Sets a member of any name. A plain assignment of `__proto__` would set no member. */
export function setMember(row: { [name: string]: Value }, name: string, value: Value): void {
  if (name === '__proto__')
    Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true })
  else row[name] = value
}

function memberOf(json: object, name: string): unknown {
  return Object.hasOwn(json, name) ? Reflect.get(json, name) : null
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

/** Reads a safe integer as a number, any other as a bigint. */
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

/** Reads the shortest decimal of a float, which DuckDB does not print. A stored value is a number already. */
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

/** Makes a reader for the values of a column. */
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
