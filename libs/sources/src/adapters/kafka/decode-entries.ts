/**
 * Decodes the records of a topic. A record never fails: one that cannot be read becomes an unreadable entry,
 * with the reason. Only the schema registry may fail, since then nothing is known about any record.
 */
import { isUtf8 } from 'node:buffer'
import { messageOf } from '@sluice/contracts/errors'
import { parseAsWritten } from '@sluice/domain/answers/answer-body'
import type { LogRecord } from '@sluice/message-log/port'
import {
  type ForeignSchema,
  type ForeignSchemas,
  readForeign,
  schemaIdOf,
  withoutHeader,
} from '@sluice/schema-codec/adapters/foreign-schemas'
import { carrierOf, isRaw, Misfit, numberText, TEXT } from './carried-values.ts'
import type { Cells, Entry, EntryKey, Said, SnapshotMark } from './entry.ts'
import { placeOf } from './source-place.ts'
import { ANY, type FieldType, isObject, typeOfAvro, typeOfConnect } from './field-types.ts'
import { looseCells, looseText } from './loose-values.ts'

/** A value with its schema; `ANY` without one. */
interface Typed {
  readonly value: unknown
  readonly type: FieldType
}

export interface DecoderOptions {
  readonly format: 'debezium' | 'rows'
  /** Null without a schema registry. */
  readonly schemas: ForeignSchemas | null
  /** The columns that tell rows apart, if the user names them. They identify records without a key. */
  readonly primaryKey: readonly string[]
}

/** The column of a key that is one value, not several fields. */
export const KEY_COLUMN = 'key'

/** The fields that Debezium's flattening adds to say what happened to the row. */
const FLAT_MARKS = new Set(['__deleted', '__op'])

export class EntryDecoder {
  readonly #options: DecoderOptions
  readonly #values = new ValueReader()
  readonly #keys = new ValueReader()
  /** The columns of a key that belong to its row, by the carriers of all its columns. */
  readonly #chosen = new WeakMap<object, Columns & { readonly places: readonly number[] }>()
  /** The entry of the record before, if that is a delete with the time of its commit. */
  #deleted: (Entry & { readonly kind: 'removed' }) | null = null

  constructor(options: DecoderOptions) {
    this.#options = options
  }

  /** Asks the registry for the schemas of these records. Rejects as `ForeignSchemas.ask` does. */
  async prepare(records: readonly LogRecord[], { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { schemas } = this.#options
    if (schemas === null) return
    for (const { key, value } of records)
      for (const bytes of [key, value]) {
        const id = bytes === null ? null : schemaIdOf(bytes)
        if (id !== null && schemas.known(id) === undefined) await schemas.ask(id, { signal })
      }
  }

  /** Decodes a record. `prepare` has seen it before. */
  decode(record: LogRecord, partition: number): Entry {
    const entry = this.#decode(record, partition)
    const deleted = this.#deleted
    const isRemoved = entry.kind === 'removed'
    this.#deleted = isRemoved && record.value !== null ? entry : null
    // The tombstone behind a delete has only the time at which it was written, which may be much later. It
    // would outdo a row that came back in another partition.
    const repeats = isRemoved && record.value === null && deleted?.at.partition === partition
    return repeats && deleted.key.identity === entry.key.identity
      ? { ...entry, committedAt: deleted.committedAt }
      : entry
  }

  #decode(record: LogRecord, partition: number): Entry {
    const at = { partition, offset: record.offset }
    const plain = { at, committedAt: record.timestamp, snapshot: null }
    if (record.unreadable !== undefined)
      return { ...plain, ...unreadable(null, record.unreadable.error.message, true) }
    let key: EntryKey | null
    try {
      key = this.#keyOf(record)
    } catch (error) {
      // The bytes of the key tell at least which later record replaces this one.
      const raw = { identity: `bytes ${bufferOf(record.key).toString('base64')}`, cells: null }
      if (record.value === null) return { ...plain, kind: 'removed', key: raw }
      return { ...plain, ...unreadable(raw, `its key cannot be read: ${messageOf(error)}`, true) }
    }
    try {
      return this.#decodeValue(record, key, plain)
    } catch (error) {
      return { ...plain, ...unreadable(key, messageOf(error), false) }
    }
  }

  #decodeValue(record: LogRecord, key: EntryKey | null, plain: Omit<Entry, keyof Said>): Entry {
    const { value } = record
    const gone: Entry = key === null ? { ...plain, kind: 'passed' } : { ...plain, kind: 'removed', key }
    if (value === null) return gone
    const typed = this.#values.read(bufferOf(value), this.#options.schemas)
    if (this.#options.format === 'rows') return { ...plain, ...this.#row(typed, key) }
    // Where Debezium's flattening removes a row, Kafka's JSON converter writes no tombstone, but its schema.
    if (typed.value === null) return gone
    if (isAboutNoRow(typed)) return { ...plain, kind: 'passed' }
    return isEnvelope(typed) ? this.#changed(typed, key, plain) : { ...plain, ...this.#flat(typed, key) }
  }

  #keyOf({ key, lacksKey = false }: LogRecord): EntryKey | null {
    if (lacksKey) return null
    const { format, schemas } = this.#options
    const typed = this.#keys.read(bufferOf(key), schemas, { orText: format === 'rows' })
    const { value } = typed
    if (value === null || value === undefined) return null
    const isOneValue = !isObject(value) || isRaw(value)
    const cells = isOneValue ? valueCells(typed) : cellsOf(typed)
    return { identity: identityOf(cells, isOneValue), cells: this.#named(cells), isOneValue }
  }

  /** Returns the columns of a key that belong to the row: those that the user names, or all. */
  #named(cells: Cells): Cells | null {
    const { primaryKey } = this.#options
    if (primaryKey.length === 0 || cells.names.every(name => primaryKey.includes(name))) return cells
    if (!cells.names.some(name => primaryKey.includes(name))) return null
    const known = cells.carriers === null ? undefined : this.#chosen.get(cells.carriers)
    const places = known?.places ?? cells.names.flatMap((name, i) => (primaryKey.includes(name) ? [i] : []))
    const { names, carriers } = known ?? {
      names: places.map(place => cells.names[place] ?? ''),
      carriers: cells.carriers === null ? null : places.map(place => cells.carriers?.[place] ?? TEXT),
    }
    if (cells.carriers !== null && carriers !== null)
      this.#chosen.set(cells.carriers, { places, names, carriers })
    return { names, carriers, texts: places.map(place => cells.texts[place] ?? null) }
  }

  /** A change in Debezium's envelope. */
  #changed({ value, type }: Typed, key: EntryKey | null, plain: Omit<Entry, keyof Said>): Entry {
    const envelope = isObject(value) ? value : {}
    const source = isObject(envelope['source']) ? envelope['source'] : {}
    const committedAt = millisOf(source['ts_ms']) ?? millisOf(envelope['ts_ms']) ?? plain.committedAt
    const snapshot = snapshotMark(source['snapshot'])
    const entry = { ...plain, committedAt, snapshot, source: placeOf(source) }
    const part = (name: string): Typed => ({
      value: documentOf(envelope[name]),
      type: typeof envelope[name] === 'string' ? ANY : fieldOf(type, name),
    })
    switch (envelope['op']) {
      case 'c':
      case 'r':
      case 'u':
        try {
          return { ...entry, ...this.#row(part('after'), key) }
        } catch (error) {
          return { ...entry, ...unreadable(key, messageOf(error), false) }
        }
      case 'd': {
        const removed = key ?? this.#keyInRow(part('before'))
        if (removed === null) throw new Misfit('a row was deleted, and neither key nor `before` says which')
        return { ...entry, kind: 'removed', key: removed }
      }
      case 't':
        return { ...entry, kind: 'emptied' }
      case 'm':
        return { ...entry, kind: 'passed' }
      default:
        throw new Misfit(`its \`op\` is ${JSON.stringify(envelope['op'])}, not one of c, r, u, d and t`)
    }
  }

  /** A row of Debezium's `ExtractNewRecordState`. */
  #flat({ value, type }: Typed, key: EntryKey | null): Said {
    if (!isObject(value)) throw new Misfit('its value is neither a change of Debezium nor a row')
    const isDeleted = value['__deleted'] === 'true' || value['__deleted'] === true || value['__op'] === 'd'
    const others = Object.fromEntries(Object.entries(value).filter(([name]) => !FLAT_MARKS.has(name)))
    const row = { value: others, type: type === ANY ? ANY : flatType(type) }
    if (!isDeleted) return this.#row(row, key)
    const removed = key ?? this.#keyInRow(row)
    if (removed === null) throw new Misfit('a row was deleted, and nothing says which')
    return { kind: 'removed', key: removed }
  }

  #row(typed: Typed, key: EntryKey | null): Said {
    const { value } = typed
    if (!isObject(value) || isRaw(value)) throw new Misfit('its value is no row: no map of columns')
    const isDebezium = this.#options.format === 'debezium'
    const unknown = isDebezium ? Object.keys(value).filter(name => isUnavailable(value[name])) : []
    const cells = cellsOf(typed, unknown)
    const own = key ?? this.#keyOfCells(cells)
    if (own === null) {
      const { primaryKey } = this.#options
      const lacks = primaryKey.length === 0 ? 'it has no key' : 'it has no key, and its row has none'
      throw new Misfit(lacks)
    }
    this.#assertKeyColumnFree(own, cells)
    return { kind: 'row', key: own, cells, unknown }
  }

  /** A key that is one value becomes the column `key`, unless the user names other columns. */
  #assertKeyColumnFree({ isOneValue = false }: EntryKey, { names }: Cells): void {
    if (this.#options.primaryKey.length > 0 || !isOneValue) return
    if (names.includes(KEY_COLUMN))
      throw new Misfit(
        'its row has a field `key` beside its key: name the columns that tell rows apart as `primaryKey`',
      )
  }

  #keyInRow(typed: Typed): EntryKey | null {
    return isObject(typed.value) ? this.#keyOfCells(cellsOf(typed)) : null
  }

  /** Identifies the row of a record without a key by its columns; null if they are missing or null. */
  #keyOfCells(cells: Cells): EntryKey | null {
    const { primaryKey } = this.#options
    const texts = primaryKey.map(name => cells.texts[cells.names.indexOf(name)] ?? null)
    if (texts.length === 0 || texts.includes(null)) return null
    return { identity: JSON.stringify(['row', ...texts]), cells: this.#named(cells) }
  }
}

function unreadable(key: EntryKey | null, why: string, hidesKey: boolean): Said {
  return { kind: 'unreadable', key, why, hidesKey }
}

/** Reads keys or values. JSON with a schema has the same schema for many records, so it is parsed once. */
class ValueReader {
  readonly #avro = new WeakMap<object, FieldType>()
  #framed: { readonly prefix: string; readonly type: FieldType } | null = null

  /** Throws Misfit, SyntaxError or `corrupt` for bytes that cannot be read. */
  read(bytes: Buffer, schemas: ForeignSchemas | null, { orText = false } = {}): Typed {
    const id = schemaIdOf(bytes)
    if (id !== null) {
      if (schemas === null)
        throw new Misfit('it looks like Avro of a schema registry: name it as `registry` of the source')
      const schema = schemas.known(id)
      if (schema === undefined) throw new Error(`schema ${id} was not asked for`)
      return this.#readFramed(schema, bytes)
    }
    if (!isUtf8(bytes)) throw new Misfit('it is neither JSON nor Avro: its bytes are no UTF-8')
    const text = bytes.toString('utf8')
    try {
      return this.#readJson(text)
    } catch (error) {
      if (orText && error instanceof SyntaxError) return { value: text, type: ANY }
      if (!(error instanceof SyntaxError)) throw error
      throw new Misfit(`it is no JSON: ${error.message}`)
    }
  }

  #readFramed(schema: ForeignSchema, bytes: Buffer): Typed {
    if (schema.kind === 'unusable') throw new Misfit(schema.why)
    if (schema.kind === 'json') return { value: parseExact(withoutHeader(bytes).toString('utf8')), type: ANY }
    let type = this.#avro.get(schema)
    if (type === undefined) {
      type = typeOfAvro(schema.schema)
      this.#avro.set(schema, type)
    }
    return { value: readForeign(schema, bytes), type }
  }

  #readJson(text: string): Typed {
    const framed = this.#framed
    if (framed !== null && text.startsWith(framed.prefix) && text.endsWith('}')) {
      const payload = parsePart(text.slice(framed.prefix.length, -1))
      if (payload !== undefined) return { value: payload, type: framed.type }
    }
    const value = parseExact(text)
    if (!isObject(value) || !('schema' in value) || !('payload' in value)) return { value, type: ANY }
    if (Object.keys(value).length !== 2) return { value, type: ANY }
    const type = value['schema'] === null ? ANY : typeOfConnect(value['schema'])
    const prefix = framePrefix(text, value['schema'])
    if (prefix !== null) this.#framed = { prefix, type }
    return { value: value['payload'], type }
  }
}

/** Returns the text before the payload, if the schema stands first and is written as JSON.stringify does. */
function framePrefix(text: string, schema: unknown): string | null {
  const prefix = `{"schema":${JSON.stringify(schema)},"payload":`
  return text.startsWith(prefix) ? prefix : null
}

function parsePart(text: string): unknown {
  try {
    return parseExact(text)
  } catch {
    return undefined
  }
}

/** A number that JavaScript might write differently. Texts that look so only cost time. */
const MAY_ROUND = /\d{16}|\d\.\d|\d[eE]|-0/

/** Parses JSON. All numbers keep their digits. */
function parseExact(text: string): unknown {
  return MAY_ROUND.test(text) ? parseAsWritten(text) : JSON.parse(text)
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Returns the columns of a row. Columns in `unknown` have no text. */
function cellsOf({ value, type }: Typed, unknown: readonly string[] = []): Cells {
  if (!isObject(value)) throw new Misfit('it is no map of columns')
  if (type.kind !== 'struct' || type.fields.length === 0) {
    const known =
      unknown.length === 0 ? value : { ...value, ...Object.fromEntries(unknown.map(n => [n, null])) }
    return looseCells(known)
  }
  const { names, carriers } = columnsOf(type)
  const texts = names.map((name, index) => {
    const each = value[name]
    if (each === null || each === undefined || unknown.includes(name)) return null
    try {
      return (carriers[index] ?? TEXT).text(each)
    } catch (error) {
      if (error instanceof Misfit) throw new Misfit(`column "${name}" has ${error.message}`)
      throw error
    }
  })
  return { names, carriers, texts }
}

type Columns = Pick<Cells, 'names'> & { readonly carriers: NonNullable<Cells['carriers']> }
const columnsByType = new WeakMap<FieldType, Columns>()

/** Returns the same object for the same type, by which a table knows it again. */
function columnsOf(type: FieldType): Columns {
  let columns = columnsByType.get(type)
  if (columns === undefined) {
    const { fields } = type
    columns = { names: fields.map(({ name }) => name), carriers: fields.map(field => carrierOf(field.type)) }
    columnsByType.set(type, columns)
  }
  return columns
}

const keyColumnByType = new WeakMap<FieldType, Columns>()

/** Returns the column of a key that is one value. */
function valueCells({ value, type }: Typed): Cells {
  if (type === ANY) return { names: [KEY_COLUMN], carriers: null, texts: [looseText(value)] }
  let columns = keyColumnByType.get(type)
  if (columns === undefined) {
    columns = { names: [KEY_COLUMN], carriers: [carrierOf(type)] }
    keyColumnByType.set(type, columns)
  }
  return { ...columns, texts: [carrierOf(type).text(value)] }
}

const flatTypes = new WeakMap<FieldType, FieldType>()

function flatType(type: FieldType): FieldType {
  let found = flatTypes.get(type)
  if (found === undefined) {
    found = { ...type, fields: type.fields.filter(({ name }) => !FLAT_MARKS.has(name)) }
    flatTypes.set(type, found)
  }
  return found
}

function fieldOf({ fields }: FieldType, name: string): FieldType {
  return fields.find(field => field.name === name)?.type ?? ANY
}

/** Leaves out the letter of a loose value, so that a key is the same with a schema and without. */
function identityOf({ names, carriers, texts }: Cells, isOneValue: boolean): string {
  const values = texts.map(text => (carriers === null ? (text?.slice(1) ?? null) : text))
  if (isOneValue) return JSON.stringify(values[0])
  return JSON.stringify([names, values])
}

/** MongoDB's documents are JSON texts. */
function documentOf(value: unknown): unknown {
  return typeof value === 'string' ? parseExact(value) : value
}

const TRANSACTION_STATUS = new Set(['BEGIN', 'END'])
/** Debezium's own types. The types of rows begin with the prefix of their topic. */
const NO_ROWS =
  /^io\.debezium\.connector\.(\w+\.)*(TransactionMetadataValue|Heartbeat|SchemaChangeValue|Message(\.|Value))/

/**
 * True for records that Debezium writes beside rows: heartbeats, frames of transactions, changes of schemas.
 */
function isAboutNoRow({ value, type }: Typed): boolean {
  if (!isObject(value)) return false
  if (NO_ROWS.test(type.name)) return true
  if ('after' in value || 'before' in value) return false
  const names = Object.keys(value)
  if (TRANSACTION_STATUS.has(String(value['status'])) && 'event_count' in value) return true
  if ('ddl' in value && 'tableChanges' in value) return true
  return names.length === 1 && names[0] === 'ts_ms'
}

function isEnvelope({ value }: Typed): boolean {
  return isObject(value) && 'op' in value && 'source' in value && isObject(value['source'])
}

function millisOf(value: unknown): number | null {
  if (value === null || value === undefined) return null
  try {
    const millis = Number(numberText(value))
    return Number.isSafeInteger(millis) && millis > 0 ? millis : null
  } catch {
    return null
  }
}

function snapshotMark(value: unknown): SnapshotMark {
  if (value === 'first' || value === 'first_in_data_collection') return 'first'
  if (value === 'last' || value === 'last_in_data_collection') return 'last'
  return value === 'true' || value === true ? 'within' : null
}

const UNAVAILABLE = '__debezium_unavailable_value'
const UNAVAILABLE_BYTES = Buffer.from(UNAVAILABLE)
const UNAVAILABLE_BASE64 = UNAVAILABLE_BYTES.toString('base64')

/** True for a value that PostgreSQL keeps apart (TOAST) and that has not changed. */
function isUnavailable(value: unknown): boolean {
  if (typeof value === 'string') return value === UNAVAILABLE || value === UNAVAILABLE_BASE64
  if (value instanceof Uint8Array) return UNAVAILABLE_BYTES.equals(value)
  if (Array.isArray(value)) {
    if (value.length === 1) return isUnavailable(value[0])
    // Arrays of numbers have the bytes of the text.
    return (
      value.length === UNAVAILABLE_BYTES.length && value.every((each, i) => each === UNAVAILABLE_BYTES[i])
    )
  }
  return isObject(value) && Object.keys(value).length === 1 && UNAVAILABLE in value
}
