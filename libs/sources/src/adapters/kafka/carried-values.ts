/**
 * The columns that values of a record become, and the texts as which they reach DuckDB. A value becomes what
 * the source of the database itself makes of it (contracts/values.ts), as far as its schema tells:
 *
 * | schema | carried as |
 * |---|---|
 * | int8, int16, int32, Year | integer |
 * | int64 | long |
 * | Decimal with a precision of at most 38 | decimal |
 * | Decimal of any precision, VariableScaleDecimal | json: a number with all its digits |
 * | Date, Time, MicroTime, Timestamp, MicroTimestamp | date, time, timestamp |
 * | ZonedTimestamp | timestamp with zone, in UTC |
 * | NanoTime, NanoTimestamp, ZonedTime | text |
 * | Interval, MicroDuration | interval |
 * | Uuid | uuid |
 * | arrays of plain values | list |
 * | Json, structs, maps, other arrays | json |
 * | Bits | text of digits 0 and 1 |
 * | bytes | bytes |
 * | string, Enum, EnumSet, Xml, all others | text |
 */
import type { ColumnType } from '@sluice/contracts/values'
import { decimalText, unscaledOf } from '@sluice/schema-codec/decimal-bytes'
import { dateOfDays, timeOfMicros } from '@sluice/schema-codec/temporal-text'
import { decimalFromText } from '../server/row-text.ts'
import { type FieldType, isObject } from './field-types.ts'

declare global {
  interface JSON {
    /** True for an object that `JSON.rawJSON` made (ECMAScript 2026). */
    isRawJSON(value: unknown): value is { readonly rawJSON: string }
  }
}

/** Says why a value cannot be carried. */
export class Misfit extends Error {}

/** How values of one type get into DuckDB. */
export interface Carrier {
  readonly type: ColumnType
  readonly sqlType: string
  /** Returns the text of a value that is not null. Throws Misfit. */
  readonly text: (value: unknown) => string
  /** Returns SQL for the value, from its text. */
  readonly value: (text: string) => string
}

const MAX_DIGITS = 38

function cast(kind: 'boolean' | 'integer' | 'long' | 'float' | 'double' | 'uuid', sqlType: string): Carrier {
  const text = kind === 'boolean' ? booleanText : kind === 'uuid' ? plainText : numberText
  return { type: { kind }, sqlType, text, value: place => `CAST(${place} AS ${sqlType})` }
}

export const TEXT: Carrier = {
  type: { kind: 'text' },
  sqlType: 'VARCHAR',
  text: plainText,
  value: place => place,
}
export const JSON_VALUE: Carrier = {
  type: { kind: 'json' },
  sqlType: 'JSON',
  text: value => jsonText(value),
  value: place => `CAST(${place} AS JSON)`,
}
export const LONG = cast('long', 'BIGINT')
export const BOOLEAN = cast('boolean', 'BOOLEAN')
export const INTEGER = cast('integer', 'INTEGER')
const UUID = cast('uuid', 'UUID')
const BYTES: Carrier = {
  type: { kind: 'bytes' },
  sqlType: 'BLOB',
  text: value => bytesOf(value).toString('hex'),
  value: place => `unhex(${place})`,
}
/** The text is a number of days. */
const DATE: Carrier = {
  type: { kind: 'date' },
  sqlType: 'DATE',
  text: value => String(wholeOf(value)),
  value: place => `(DATE '1970-01-01' + CAST(${place} AS INTEGER))`,
}
const TIMESTAMP_SQL = { type: { kind: 'timestamp', zone: false }, sqlType: 'TIMESTAMP' } as const
const ZONED_SQL = { type: { kind: 'timestamp', zone: true }, sqlType: 'TIMESTAMPTZ' } as const
const ZONED: Carrier = { ...ZONED_SQL, text: plainText, value: place => `CAST(${place} AS TIMESTAMPTZ)` }
const INTERVAL_SQL = {
  type: { kind: 'interval' },
  sqlType: 'INTERVAL',
  value: (place: string) => `CAST(${place} AS INTERVAL)`,
} as const

/** The instants that Debezium writes for the infinities of PostgreSQL, in microseconds. */
const INFINITIES: { readonly [micros: string]: string } = {
  '9223372036825200000': 'infinity',
  '-9223372036832400000': '-infinity',
}

/** A time in units of so many microseconds. */
function time(micros: bigint): Carrier {
  return {
    type: { kind: 'time' },
    sqlType: 'TIME',
    text: value => timeOfMicros(Number(wholeOf(value) * micros)),
    value: place => `CAST(${place} AS TIME)`,
  }
}

function timestamp(micros: bigint, zone: boolean): Carrier {
  const { type, sqlType } = zone ? ZONED_SQL : TIMESTAMP_SQL
  const made = zone ? 'make_timestamptz' : 'make_timestamp'
  return {
    type,
    sqlType,
    text: value => {
      const whole = wholeOf(value)
      return INFINITIES[String(whole)] ?? String(whole * micros)
    },
    value: place =>
      `CASE WHEN ends_with(${place}, 'infinity') THEN CAST(${place} AS ${sqlType}) ELSE ${made}(CAST(${place} AS BIGINT)) END`,
  }
}

/** Nanoseconds are text, with as many digits of the fraction as it takes. */
function nanoText(value: unknown, dated: boolean): string {
  const nanos = wholeOf(value)
  const ofDay = 86_400_000_000_000n
  const day = dated ? (nanos - (((nanos % ofDay) + ofDay) % ofDay)) / ofDay : 0n
  const rest = nanos - day * ofDay
  const seconds = timeOfMicros(Number((rest / 1_000_000_000n) * 1_000_000n))
  const fraction = String(rest % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '')
  const time = fraction === '' ? seconds : `${seconds}.${fraction}`
  return dated ? `${dateOfDays(Number(day))}T${time}` : time
}

const ISO_DURATION =
  /^P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?[\d.]+)S)?)?$/

/** Returns an ISO 8601 duration as DuckDB reads intervals. */
function intervalText(value: unknown): string {
  const text = plainText(value)
  const parts = ISO_DURATION.exec(text)?.slice(1)
  if (parts === undefined) throw new Misfit(`${shown(text)}, which is no duration`)
  const units = ['years', 'months', 'days', 'hours', 'minutes', 'seconds']
  const known = units.flatMap((unit, index) => {
    const amount = parts[index]
    return amount === undefined ? [] : [`${amount} ${unit}`]
  })
  return known.length === 0 ? '0 days' : known.join(' ')
}

function decimal({ parameters }: FieldType): Carrier {
  const scale = Number(parameters['scale'] ?? '0')
  const precision = Number(parameters['connect.decimal.precision'] ?? '0')
  const text = (value: unknown): string => decimalOf(value, scale)
  const isBounded = precision > 0 && precision <= MAX_DIGITS && scale >= 0 && scale <= precision
  if (!isBounded) return { ...JSON_VALUE, text }
  const type = { kind: 'decimal', precision, scale } as const
  const sqlType = `DECIMAL(${precision},${scale})`
  return { type, sqlType, text, value: decimalFromText(type) ?? (place => `CAST(${place} AS ${sqlType})`) }
}

/** A Decimal is bytes. With `decimal.format=numeric`, it is a number. */
function decimalOf(value: unknown, scale: number): string {
  if (!(value instanceof Uint8Array) && typeof value !== 'string') return numberText(value)
  const unscaled = unscaledOf(bytesOf(value))
  return scale >= 0 ? decimalText(unscaled, scale) : `${unscaled}${'0'.repeat(-scale)}`
}

function variableScale(value: unknown): string {
  if (!isObject(value)) throw new Misfit('no number with a scale')
  return decimalOf(value['value'], Number(wholeOf(value['scale'])))
}

/** Debezium writes the bits in little-endian order. */
function bitsText(value: unknown, { parameters }: FieldType): string {
  const length = Number(parameters['length'] ?? '0')
  const digits = [...bytesOf(value)].reverse().map(byte => byte.toString(2).padStart(8, '0'))
  const text = digits.join('')
  return length > 0 ? text.padStart(length, '0').slice(-length) : text
}

const CONNECT = 'org.apache.kafka.connect.data'

/** Returns how values of a semantic type are carried; null for a name without a meaning of its own. */
function semanticCarrier(type: FieldType): Carrier | null {
  switch (type.name) {
    case `${CONNECT}.Decimal`:
      return decimal(type)
    case 'io.debezium.data.VariableScaleDecimal':
      return { ...JSON_VALUE, text: variableScale }
    case `${CONNECT}.Date`:
    case 'io.debezium.time.Date':
      return DATE
    case `${CONNECT}.Time`:
    case 'io.debezium.time.Time':
      return time(1000n)
    case 'io.debezium.time.MicroTime':
      return time(1n)
    case 'io.debezium.time.NanoTime':
      return { ...TEXT, text: value => nanoText(value, false) }
    case `${CONNECT}.Timestamp`:
    case 'io.debezium.time.Timestamp':
      return timestamp(1000n, false)
    case 'io.debezium.time.MicroTimestamp':
      return timestamp(1n, false)
    case 'io.debezium.time.NanoTimestamp':
      return { ...TEXT, text: value => nanoText(value, true) }
    case 'sluice.timestamp.millis':
      return timestamp(1000n, true)
    case 'sluice.timestamp.micros':
      return timestamp(1n, true)
    case 'io.debezium.time.ZonedTimestamp':
      return ZONED
    case 'io.debezium.time.Interval':
      return { ...INTERVAL_SQL, text: intervalText }
    case 'io.debezium.time.MicroDuration':
      return { ...INTERVAL_SQL, text: value => `${wholeOf(value)} microseconds` }
    case 'io.debezium.time.IsoDate':
      return { ...DATE, text: value => plainText(value).replace(/Z$/, ''), value: p => `CAST(${p} AS DATE)` }
    case 'io.debezium.time.IsoTimestamp':
      return {
        ...TIMESTAMP_SQL,
        text: v => plainText(v).replace(/Z$/, ''),
        value: p => `CAST(${p} AS TIMESTAMP)`,
      }
    case 'io.debezium.data.Uuid':
      return UUID
    case 'io.debezium.data.Json':
      return { ...JSON_VALUE, text: plainText }
    case 'io.debezium.data.Bits':
      return { ...TEXT, text: value => bitsText(value, type) }
    default:
      return null
  }
}

const CARRIERS: { readonly [kind in FieldType['kind']]: Carrier } = {
  boolean: BOOLEAN,
  int: INTEGER,
  long: LONG,
  float: cast('float', 'FLOAT'),
  double: cast('double', 'DOUBLE'),
  text: TEXT,
  bytes: BYTES,
  struct: JSON_VALUE,
  list: JSON_VALUE,
  map: JSON_VALUE,
  any: JSON_VALUE,
}

const carriers = new WeakMap<FieldType, Carrier>()

export function carrierOf(type: FieldType): Carrier {
  let carrier = carriers.get(type)
  if (carrier === undefined) {
    const plain = CARRIERS[type.kind]
    carrier =
      semanticCarrier(type) ??
      listCarrier(type) ??
      (plain === JSON_VALUE ? { ...plain, text: v => jsonText(v, type) } : plain)
    carriers.set(type, carrier)
  }
  return carrier
}

/**
 * The text of a list is a JSON array of the texts of its elements. Lists of lists, structs and maps are JSON.
 */
function listCarrier({ kind, of }: FieldType): Carrier | null {
  if (kind !== 'list' || of === null || COMPOSITE.has(of.kind)) return null
  const element = carrierOf(of)
  return {
    type: { kind: 'list', of: element.type },
    sqlType: `${element.sqlType}[]`,
    text: value => {
      if (!Array.isArray(value)) throw new Misfit(`${shown(value)}, which is no list`)
      const texts = value.map(item => (item === null || item === undefined ? null : element.text(item)))
      return wellFormedJson(JSON.stringify(texts))
    },
    value: place =>
      `list_transform(CAST(CAST(${place} AS JSON) AS VARCHAR[]), lambda item: ${element.value('item')})`,
  }
}

const COMPOSITE: ReadonlySet<FieldType['kind']> = new Set(['list', 'struct', 'map', 'any'])

/** Returns the JSON of a value. Nested values have the form that they would have in a column. */
export function jsonText(value: unknown, type?: FieldType): string {
  return wellFormedJson(JSON.stringify(type === undefined ? value : plainJson(value, type)))
}

const NUMBERS: ReadonlySet<ColumnType['kind']> = new Set(['integer', 'long', 'float', 'double', 'decimal'])

function plainJson(value: unknown, type: FieldType): unknown {
  if (value === null || value === undefined) return null
  const { kind, fields, of } = type
  if (kind === 'list' && of !== null && Array.isArray(value)) return value.map(item => plainJson(item, of))
  if (kind === 'map' && of !== null && isObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plainJson(item, of)]))
  const carrier = carrierOf(type)
  if (kind === 'struct' && type.name !== 'io.debezium.data.VariableScaleDecimal' && isObject(value))
    return Object.fromEntries(fields.map(field => [field.name, plainJson(value[field.name], field.type)]))
  if (kind === 'any') return anyJson(value)
  return nested(carrier.text(value), carrier.type)
}

/** Returns the value inside of JSON that the text of a carrier stands for. */
function nested(text: string, type: ColumnType): unknown {
  if (type.kind === 'boolean') return text === 'true'
  if (NUMBERS.has(type.kind)) return Number.isFinite(Number(text)) ? JSON.rawJSON(text) : text
  if (type.kind === 'json') return /^[[{]/.test(text) ? JSON.parse(text) : JSON.rawJSON(text)
  if (type.kind === 'date') return dateOfDays(Number(text))
  if (type.kind === 'timestamp' && /^-?\d+$/.test(text)) return instantText(BigInt(text), type.zone)
  return text
}

function instantText(micros: bigint, zone: boolean): string {
  return `${nanoText(micros * 1000n, true)}${zone ? 'Z' : ''}`
}

/** Returns the JSON of a value of Avro without a type of its own, such as a branch of a union. */
function anyJson(value: unknown): unknown {
  if (typeof value === 'bigint') return JSON.rawJSON(String(value))
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (Array.isArray(value)) return value.map(anyJson)
  if (JSON.isRawJSON(value) || !isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, anyJson(item)]))
}

/** Half a character has no UTF-8, and DuckDB refuses it in JSON. It becomes U+FFFD. */
export function wellFormedJson(json: string): string {
  if (!json.includes('\\ud')) return json
  // JSON.stringify escapes half a character only, never a whole one.
  return json.replaceAll(/\\(?:\\|ud[89a-f][0-9a-f]{2})/g, found => (found === '\\\\' ? found : '\ufffd'))
}

/** The text of a number as it was written. */
export function numberText(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (isRaw(value)) return value.rawJSON
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return value
  throw new Misfit(`${shown(value)}, which is no number`)
}

/** A number that JavaScript would write differently (libs/domain/src/answers/answer-body.ts). */
export function isRaw(value: unknown): value is { readonly rawJSON: string } {
  return JSON.isRawJSON(value)
}

function wholeOf(value: unknown): bigint {
  const text = numberText(value)
  if (!/^-?\d+$/.test(text)) throw new Misfit(`${shown(text)}, which is no whole number`)
  return BigInt(text)
}

function booleanText(value: unknown): string {
  if (typeof value !== 'boolean') throw new Misfit(`${shown(value)}, which is neither true nor false`)
  return String(value)
}

function plainText(value: unknown): string {
  if (typeof value === 'string') return value
  throw new Misfit(`${shown(value)}, which is no text`)
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

function bytesOf(value: unknown): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const text = plainText(value)
  if (!BASE64.test(text)) throw new Misfit(`${shown(text)}, which is no Base64`)
  return Buffer.from(text, 'base64')
}

const MAX_SHOWN = 60

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value, safely) ?? String(value))
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}

function safely(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
