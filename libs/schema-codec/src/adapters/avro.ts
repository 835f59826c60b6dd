/**
 * avsc types for Sluice's schemas. Their values are plain objects in the shapes of contracts/records.ts:
 * unions with null need no wrapper, rows have their columns' own names, and enums their dashes. Names in the
 * data, such as `__proto__` and `constructor`, have no meaning for JavaScript.
 */
import { RecentMap } from '@sluice/flow/recent-map'
import { avscTypes, typeForSchema, type AvscType, type Misfit, type RecordType, type Tap } from './avsc.ts'
import { decimalType, EXACT_LONG, FLOAT, MILLIS } from './number-types.ts'
import { isNull, nullability, setOwn, wholeReader, writerOf, type Property } from './record-functions.ts'
import { DATE, TIME, TIMESTAMP, ZONED_TIMESTAMP } from './temporal-types.ts'
import { BYTES, DoesNotFit, JSON_TEXT, readText, TEXT, writeText } from './text-types.ts'

/** Makes the type of a schema, as it was parsed from JSON. Throws avsc's error for a wrong schema. */
export function avroType(schema: object): AvscType {
  return typeForSchema(schema, sluiceType)
}

/** The type of a row with many columns takes some hundred kilobytes. */
const MAX_TYPES = 100

const made = new RecentMap<string, AvscType>({ limit: MAX_TYPES })

/**
 * Makes a type as `avroType` does, but returns the same type for schemas of the same text. Making a type
 * takes milliseconds, since avsc compiles code for it, and a process often reads the schemas that it writes.
 * A type keeps nothing of the values that it reads and writes.
 */
export function sharedType(schema: object): AvscType {
  const text = JSON.stringify(schema)
  const known = made.get(text)
  if (known !== undefined) return known
  const type = avroType(schema)
  made.set(text, type)
  return type
}

/** Returns Sluice's own type for a part of a schema; undefined if it has none. It is avsc's `typeHook`. */
export function sluiceType(schema: unknown, options: object): AvscType | undefined {
  if (schema === 'string') return TEXT
  if (schema === 'bytes') return BYTES
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return undefined
  const attributes = schema as Attributes
  return scalarType(attributes) ?? compositeType(attributes, options)
}

export interface Attributes {
  readonly type?: unknown
  readonly logicalType?: unknown
  readonly sluiceType?: unknown
  readonly [attribute: string]: unknown
}

function scalarType(schema: Attributes): AvscType | undefined {
  const { type, logicalType, sluiceType: own } = schema
  switch (type) {
    case 'string':
      return own === 'json' ? JSON_TEXT : TEXT
    case 'bytes':
      return logicalType === 'decimal'
        ? decimalType(Number(schema['precision']), Number(schema['scale'] ?? 0))
        : BYTES
    case 'float':
      return FLOAT
    case 'int':
      return logicalType === 'date' ? DATE : undefined
    case 'long':
      if (logicalType === 'timestamp-millis') return MILLIS
      if (logicalType === 'time-micros') return TIME
      if (logicalType === 'timestamp-micros') return ZONED_TIMESTAMP
      if (logicalType === 'local-timestamp-micros') return TIMESTAMP
      return own === 'long' ? EXACT_LONG : undefined
    default:
      return undefined
  }
}

function compositeType(schema: Attributes, options: object): AvscType | undefined {
  switch (schema['type']) {
    case 'enum':
      return Array.isArray(schema['sluiceSymbols']) ? enumType(schema, options) : undefined
    case 'array':
      return listType(schema, options)
    case 'map':
      return new TextMap(schema, options)
    case 'record':
      return recordType(schema, options)
    default:
      return undefined
  }
}

/** An enum whose values are `sluiceSymbols`, in the order of its symbols. */
function enumType(schema: Attributes, options: object): AvscType {
  const values = schema['sluiceSymbols'] as readonly string[]
  const indices = new Map(values.map((value, index) => [value, index]))
  class Enum extends avscTypes.EnumType {
    override _read(tap: Tap): string | undefined {
      const value = values[tap.readLong()]
      if (value === undefined) tap.pos = tap.buf.length + 1
      return value
    }

    override _write(tap: Tap, value: unknown): void {
      const index = indices.get(value as string)
      if (index === undefined) throw new DoesNotFit()
      tap.writeLong(index)
    }

    override _check(value: unknown, _flags: number, misfit: Misfit | undefined): boolean {
      const fits = indices.has(value as string)
      if (!fits) misfit?.(value, this)
      return fits
    }
  }
  return new Enum(schema, options)
}

/**
 * Reads the number of items in the next block of an array or map. Throws if there are fewer bytes than items.
 * A block could claim any number of items that take no bytes, such as null.
 */
function readBlockSize(tap: Tap): number {
  const count = tap.readLong()
  if (count < 0) tap.skipLong() // The block's size in bytes follows, for readers that skip it.
  const items = Math.abs(count)
  if (!(items <= tap.buf.length - tap.pos)) throw new DoesNotFit()
  return items
}

/**
 * Throws if reading went beyond the end of the buffer, as it does if a list claims more items than it has.
 */
function assertWithin(tap: Tap): void {
  if (!tap.isValid()) throw new DoesNotFit()
}

/** A list. Items may be null if their type is a union with null. */
function listType(schema: Attributes, options: object): AvscType {
  class List extends avscTypes.ArrayType {
    override _read(tap: Tap): unknown[] {
      const items: unknown[] = []
      const { type, mayBeNull } = nullability(this.itemsType)
      for (let count = readBlockSize(tap); count > 0; count = readBlockSize(tap)) {
        for (; count > 0; count--) {
          items.push(mayBeNull && isNull(tap) ? null : type._read(tap))
          assertWithin(tap)
        }
      }
      return items
    }

    override _write(tap: Tap, value: unknown): void {
      if (!Array.isArray(value)) throw new DoesNotFit()
      const { type, mayBeNull } = nullability(this.itemsType)
      if (value.length > 0) tap.writeLong(value.length)
      for (const item of value) {
        const isNothing = item === null || item === undefined
        if (mayBeNull) tap.buf[tap.pos++] = isNothing ? 0 : 2
        if (!mayBeNull || !isNothing) type._write(tap, item)
      }
      tap.writeLong(0)
    }

    override _check(value: unknown, flags: number, misfit: Misfit | undefined, path?: string[]): boolean {
      if (!Array.isArray(value)) {
        misfit?.(value, this)
        return false
      }
      const { type, mayBeNull } = nullability(this.itemsType)
      return value.every((item, i) => {
        if (mayBeNull && (item === null || item === undefined)) return true
        path?.push(String(i))
        const fits = type._check(item, flags, misfit, path)
        path?.pop()
        return fits
      })
    }
  }
  return new List(schema, options)
}

class TextMap extends avscTypes.MapType {
  override _read(tap: Tap): object {
    const map = {}
    for (let count = readBlockSize(tap); count > 0; count = readBlockSize(tap)) {
      for (; count > 0; count--) {
        const key = readText(tap)
        setOwn(map, key, this.valuesType._read(tap))
        assertWithin(tap)
      }
    }
    return map
  }

  override _write(tap: Tap, value: unknown): void {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new DoesNotFit()
    const entries = Object.entries(value)
    if (entries.length > 0) {
      tap.writeLong(entries.length)
      for (const [key, item] of entries) {
        writeText(tap, key)
        this.valuesType._write(tap, item)
      }
    }
    tap.writeLong(0)
  }
}

/** A record as a plain object with its fields' own names, in order. */
function recordType(schema: Attributes, options: object): AvscType {
  return recordReadBy(wholeReader, schema, options)
}

/** Makes the type of a record with a reader of its own, which `readerOf` makes of the record's fields. */
export function recordReadBy(
  readerOf: (properties: readonly Property[]) => AvscType['_read'],
  schema: Attributes,
  options: object,
): AvscType {
  const names = (schema['fields'] as readonly Attributes[]).map(field =>
    String(field['sluiceName'] ?? field['name']),
  )
  class PlainRecord extends avscTypes.RecordType {
    override _createReader(): AvscType['_read'] {
      return readerOf(propertiesOf(this, names))
    }

    override _createWriter(): AvscType['_write'] {
      return writerOf(propertiesOf(this, names))
    }

    override _createChecker(): AvscType['_check'] {
      return checkerOf(this, propertiesOf(this, names))
    }
  }
  const type = new PlainRecord(schema, options)
  SCHEMAS_OF.set(type, schema)
  return type
}

const SCHEMAS_OF = new WeakMap<AvscType, object>()

/** Returns the schema of a record's type, with all its attributes, which avsc does not keep. */
export function schemaOf(type: AvscType): object | undefined {
  return SCHEMAS_OF.get(type)
}

function propertiesOf(record: RecordType, names: readonly string[]): readonly Property[] {
  return record.fields.map((field, i) => {
    const name = names[i] ?? field.name
    return { name, ...nullability(field.type) }
  })
}

function checkerOf(record: RecordType, properties: readonly Property[]): AvscType['_check'] {
  return (value, flags, misfit, path) => {
    if (typeof value !== 'object' || value === null) {
      misfit?.(value, record)
      return false
    }
    return properties.every(({ name, type, mayBeNull }) => {
      const own = (value as { [name: string]: unknown })[name]
      if (mayBeNull && (own === null || own === undefined)) return true
      path?.push(name)
      const fits = type._check(own, flags, misfit, path)
      path?.pop()
      return fits
    })
  }
}
