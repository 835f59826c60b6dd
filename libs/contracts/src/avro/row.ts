/**
 * The Avro record of a model's rows, made from its columns, so that any Avro consumer can read them. Each
 * column may be null, and null is the default, so that columns may come and go. Types are Avro's own, with
 * its logical types. `sluiceType` beside them names types that Avro does not have.
 */
import {
  NAMESPACE,
  type AvroAttributes,
  type AvroField,
  type AvroRecordSchema,
  type AvroSchema,
} from './types.ts'
import { SluiceError } from '../errors.ts'
import type { Column, ColumnType } from '../values.ts'

/**
 * Turns a column's name into an Avro name (`[A-Za-z_][A-Za-z0-9_]*`). Different columns get different names,
 * and the name of a column never changes. Each character that Avro does not allow becomes `_x<hex>_` (its
 * code point). So does an underscore before an `x`, which would look like such an escape. The empty name
 * becomes `_x_`.
 */
export function avroName(column: string): string {
  if (column === '') return '_x_'
  if (column === '__proto__') return '_x5f__proto__' // It would set the prototype of a row in JavaScript.
  const characters = [...column]
  return characters
    .map((character, i) => {
      const allowed = i === 0 ? /^[A-Za-z_]$/ : /^[A-Za-z0-9_]$/
      const looksEscaped = character === '_' && characters[i + 1] === 'x'
      return allowed.test(character) && !looksEscaped ? character : `_x${codePoint(character)}_`
    })
    .join('')
}

function codePoint(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16)
}

/**
 * The row record, `sluice.Row`. Throws `query` for two columns of one name: a row object could not hold both.
 */
export function rowSchema(columns: readonly Column[]): AvroRecordSchema {
  return structSchema({ namespace: NAMESPACE, name: 'Row' }, columns)
}

/**
 * The path of a type within the row. It names the record of a struct, so that the name stays the same when
 * other columns are added.
 */
interface Place {
  readonly namespace: string
  readonly name: string
}

function inside(place: Place, name: string): Place {
  return { namespace: `${place.namespace}.${place.name}`, name }
}

function structSchema(place: Place, columns: readonly Column[]): AvroRecordSchema {
  const seen = new Set<string>()
  return {
    type: 'record',
    ...place,
    fields: columns.map(column => {
      if (seen.has(column.name)) {
        throw new SluiceError(
          'query',
          `The model has two columns named "${column.name}". Give one of them another name with AS.`,
        )
      }
      seen.add(column.name)
      return columnField(place, column)
    }),
  }
}

function columnField(place: Place, column: Column): AvroField {
  const name = avroName(column.name)
  const type: AvroSchema = ['null', columnSchema(inside(place, name), column.type)]
  return name === column.name
    ? { name, type, default: null }
    : { name, sluiceName: column.name, type, default: null }
}

function columnSchema(place: Place, type: ColumnType): AvroSchema {
  const { kind } = type
  switch (kind) {
    case 'boolean':
    case 'float':
    case 'double':
    case 'bytes':
    case 'long':
      return sluice(kind, kind)
    case 'integer':
      return sluice(kind, 'int')
    case 'text':
    case 'json':
    case 'interval':
      return sluice(kind, 'string')
    case 'uuid':
      return sluice(kind, 'string', { logicalType: 'uuid' })
    case 'date':
      return sluice(kind, 'int', { logicalType: 'date' })
    case 'time':
      return sluice(kind, 'long', { logicalType: 'time-micros' })
    case 'timestamp':
      return sluice(kind, 'long', { logicalType: type.zone ? 'timestamp-micros' : 'local-timestamp-micros' })
    case 'decimal':
      return sluice(kind, 'bytes', { logicalType: 'decimal', precision: type.precision, scale: type.scale })
    case 'list':
      return sluice(kind, 'array', { items: ['null', columnSchema(inside(place, 'item'), type.of)] })
    case 'struct':
      return structSchema(place, type.fields)
    default:
      throw new SluiceError('internal', `No Avro type for a column of kind ${String(kind satisfies never)}.`)
  }
}

function sluice(
  sluiceType: string,
  type: string,
  more: { readonly [attribute: string]: unknown } = {},
): AvroAttributes {
  return { type, sluiceType, ...more }
}
