/**
 * Maps DuckDB's types to Sluice's. A type without a counterpart is cast in SQL to a form that keeps all of
 * the value:
 *
 * | DuckDB | carried as |
 * |---|---|
 * | TINYINT, SMALLINT, UTINYINT, USMALLINT | integer |
 * | UINTEGER | long |
 * | UBIGINT | decimal(20,0) |
 * | HUGEINT, UHUGEINT | decimal(38,0); a value of 39 digits fails the query |
 * | BIGNUM, BIT, ENUM, TIME_NS, TIMETZ, GEOMETRY, NULL | text, as DuckDB prints it |
 * | TIMESTAMP_S, TIMESTAMP_MS | timestamp |
 * | TIMESTAMP_NS | text in the form of a timestamp, with up to nine digits of fraction |
 * | MAP | json: an object by key |
 * | UNION | json: an object with the tag that is set |
 * | VARIANT | json |
 * | ARRAY | list |
 */
import {
  type DuckDBPreparedStatement,
  type DuckDBStructType,
  type DuckDBType,
  DuckDBTypeId,
} from '@duckdb/node-api'
import type { ColumnType } from '@sluice/contracts/values'
import { quoteIdentifier, quoteText } from '@sluice/domain/canonical-sql'

export { quoteIdentifier, quoteText }

/** The form in which a column is carried. */
export interface Carried {
  readonly type: ColumnType
  /** The DuckDB type that holds `type`. */
  readonly sqlType: string
  /** Returns SQL that casts an expression to `sqlType`. Null if no cast is needed. */
  readonly cast: ((expression: string) => string) | null
}

export interface CarriedColumn {
  readonly name: string
  readonly carried: Carried
}

/** Returns the columns of a query's result, in their order. */
export function carriedColumnsOf(query: DuckDBPreparedStatement): readonly CarriedColumn[] {
  return Array.from({ length: query.columnCount }, (_, index) => ({
    name: query.columnName(index),
    carried: carry(query.columnType(index)),
  }))
}

const asText: Carried = { type: { kind: 'text' }, sqlType: 'VARCHAR', cast: x => `CAST(${x} AS VARCHAR)` }
const asJson: Carried = {
  type: { kind: 'json' },
  sqlType: 'JSON',
  cast: x => `CAST(to_json(${x}) AS JSON)`,
}

function plain(kind: 'boolean' | 'integer' | 'long' | 'float' | 'double' | 'text', sqlType: string): Carried {
  return { type: { kind }, sqlType, cast: null }
}

function castTo(type: ColumnType, sqlType: string): Carried {
  return { type, sqlType, cast: x => `CAST(${x} AS ${sqlType})` }
}

const SCALARS: { readonly [id: number]: Carried } = {
  [DuckDBTypeId.BOOLEAN]: plain('boolean', 'BOOLEAN'),
  [DuckDBTypeId.TINYINT]: castTo({ kind: 'integer' }, 'INTEGER'),
  [DuckDBTypeId.SMALLINT]: castTo({ kind: 'integer' }, 'INTEGER'),
  [DuckDBTypeId.INTEGER]: plain('integer', 'INTEGER'),
  [DuckDBTypeId.UTINYINT]: castTo({ kind: 'integer' }, 'INTEGER'),
  [DuckDBTypeId.USMALLINT]: castTo({ kind: 'integer' }, 'INTEGER'),
  [DuckDBTypeId.BIGINT]: plain('long', 'BIGINT'),
  [DuckDBTypeId.UINTEGER]: castTo({ kind: 'long' }, 'BIGINT'),
  [DuckDBTypeId.UBIGINT]: castTo({ kind: 'decimal', precision: 20, scale: 0 }, 'DECIMAL(20,0)'),
  [DuckDBTypeId.HUGEINT]: castTo({ kind: 'decimal', precision: 38, scale: 0 }, 'DECIMAL(38,0)'),
  [DuckDBTypeId.UHUGEINT]: castTo({ kind: 'decimal', precision: 38, scale: 0 }, 'DECIMAL(38,0)'),
  [DuckDBTypeId.FLOAT]: plain('float', 'FLOAT'),
  [DuckDBTypeId.DOUBLE]: plain('double', 'DOUBLE'),
  [DuckDBTypeId.VARCHAR]: plain('text', 'VARCHAR'),
  [DuckDBTypeId.BLOB]: { type: { kind: 'bytes' }, sqlType: 'BLOB', cast: null },
  [DuckDBTypeId.UUID]: { type: { kind: 'uuid' }, sqlType: 'UUID', cast: null },
  [DuckDBTypeId.DATE]: { type: { kind: 'date' }, sqlType: 'DATE', cast: null },
  [DuckDBTypeId.TIME]: { type: { kind: 'time' }, sqlType: 'TIME', cast: null },
  [DuckDBTypeId.INTERVAL]: { type: { kind: 'interval' }, sqlType: 'INTERVAL', cast: null },
  [DuckDBTypeId.TIMESTAMP]: { type: { kind: 'timestamp', zone: false }, sqlType: 'TIMESTAMP', cast: null },
  [DuckDBTypeId.TIMESTAMP_S]: castTo({ kind: 'timestamp', zone: false }, 'TIMESTAMP'),
  [DuckDBTypeId.TIMESTAMP_MS]: castTo({ kind: 'timestamp', zone: false }, 'TIMESTAMP'),
  [DuckDBTypeId.TIMESTAMP_NS]: { ...asText, cast: x => `replace(CAST(${x} AS VARCHAR), ' ', 'T')` },
  [DuckDBTypeId.TIMESTAMP_TZ]: {
    type: { kind: 'timestamp', zone: true },
    sqlType: 'TIMESTAMPTZ',
    cast: null,
  },
  [DuckDBTypeId.MAP]: asJson,
  [DuckDBTypeId.UNION]: asJson,
  [DuckDBTypeId.VARIANT]: { ...asJson, cast: x => `CAST(${x} AS JSON)` },
}

/**
 * Returns the form in which values of a DuckDB type are carried. An unknown type is carried as the text that
 * DuckDB prints.
 */
export function carry(type: DuckDBType): Carried {
  switch (type.typeId) {
    case DuckDBTypeId.VARCHAR:
      return type.alias === 'JSON'
        ? { type: { kind: 'json' }, sqlType: 'JSON', cast: null }
        : carryScalar(type)
    case DuckDBTypeId.DECIMAL: {
      const { width, scale } = type
      const sqlType = `DECIMAL(${width},${scale})`
      return { type: { kind: 'decimal', precision: width, scale }, sqlType, cast: null }
    }
    case DuckDBTypeId.LIST:
      return carryList(type.valueType, null)
    case DuckDBTypeId.ARRAY: {
      const { valueType, length } = type
      return carryList(valueType, length)
    }
    case DuckDBTypeId.STRUCT:
      return carryStruct(type)
    default:
      return carryScalar(type)
  }
}

function carryScalar(type: DuckDBType): Carried {
  return SCALARS[type.typeId] ?? asText
}

function carryList(elementType: DuckDBType, arrayLength: number | null): Carried {
  const element = carry(elementType)
  const sqlType = `${element.sqlType}[]`
  const elementCast = element.cast
  // An ARRAY becomes a LIST first, since the functions of lists take no arrays.
  const list = (x: string) => (arrayLength === null ? x : `CAST(${x} AS ${elementType.toString()}[])`)
  const cast =
    elementCast !== null
      ? (x: string) => `list_transform(${list(x)}, lambda item: ${elementCast('item')})`
      : arrayLength === null
        ? null
        : list
  return { type: { kind: 'list', of: element.type }, sqlType, cast }
}

function carryStruct(type: DuckDBStructType): Carried {
  const fields = type.entryNames.map((name, index) => {
    const entryType = type.entryTypes[index]
    if (entryType === undefined) throw new Error(`struct field ${name} has no type`)
    return { name, carried: carry(entryType) }
  })
  const sqlType = `STRUCT(${fields.map(f => `${quoteIdentifier(f.name)} ${f.carried.sqlType}`).join(', ')})`
  const columns = fields.map(f => ({ name: f.name, type: f.carried.type }))
  if (fields.every(f => f.carried.cast === null))
    return { type: { kind: 'struct', fields: columns }, sqlType, cast: null }
  const cast = (x: string) => {
    const entries = fields.map(({ name, carried }) => {
      const value = `(${x}).${quoteIdentifier(name)}`
      return `${quoteIdentifier(name)} := ${carried.cast === null ? value : carried.cast(value)}`
    })
    return `CASE WHEN ${x} IS NULL THEN NULL ELSE struct_pack(${entries.join(', ')}) END`
  }
  return { type: { kind: 'struct', fields: columns }, sqlType, cast }
}
