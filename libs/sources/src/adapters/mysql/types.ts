/**
 * Maps the types of MySQL and MariaDB to Sluice's. The server prints values as text, from which DuckDB reads
 * them:
 *
 * | MySQL | carried as |
 * |---|---|
 * | TINYINT (BOOLEAN), SMALLINT, MEDIUMINT, INT, YEAR | integer |
 * | INT UNSIGNED, BIGINT | long |
 * | BIGINT UNSIGNED | decimal(20,0) |
 * | DECIMAL(p,s) of at most 38 digits | decimal(p,s) |
 * | DECIMAL of more digits | json: a number with all its digits |
 * | DATE, DATETIME, TIMESTAMP, TIME | text in the form of a date, timestamp or time |
 * | CHAR, VARCHAR, TEXT, ENUM, SET | text |
 * | BINARY, VARBINARY, BLOB, GEOMETRY, VECTOR | bytes |
 * | BIT(n) | text of n digits 0 and 1 |
 * | JSON | json |
 * | UUID (MariaDB) | uuid |
 *
 * Dates and times are text, since no type of Sluice can hold 0000-00-00, 2024-02-00 or 838:59:59.
 */
import type { FieldPacket } from 'mysql2'
import type { Column, ColumnType } from '@sluice/contracts/values'
import { decimalFromText, unescaped } from '../server/row-text.ts'

/** A value's bytes become text unchanged, escaped, in hex digits, or in this many binary digits. */
export type Encoding = 'plain' | 'escaped' | 'hex' | { readonly bits: number }

/** How the values of a column get from MySQL into DuckDB. */
export interface MysqlColumn extends Column {
  readonly encoding: Encoding
  readonly readAs: string
  /** Returns DuckDB's SQL for the value, from the column as it was read. */
  readonly value: (place: string) => string
  /** True for a FLOAT, which the server prints with six digits unless it becomes a DOUBLE. */
  readonly isFloat: boolean
  /** True for a YEAR that comes from an expression, not from a column of a table. */
  readonly isCalculatedYear: boolean
}

/** The server's description of a column. MariaDB describes its own types and JSON in the added fields. */
export type DescribedField = FieldPacket & {
  readonly extendedTypeName?: string
  readonly extendedFormat?: string
}

const UNSIGNED = 32
const ZEROFILL = 64
const BINARY_CHARSET = 63

/** https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html */
const TYPE = {
  DECIMAL: 0,
  TINY: 1,
  SHORT: 2,
  LONG: 3,
  FLOAT: 4,
  DOUBLE: 5,
  TIMESTAMP: 7,
  LONGLONG: 8,
  INT24: 9,
  DATE: 10,
  TIME: 11,
  DATETIME: 12,
  YEAR: 13,
  BIT: 16,
  VECTOR: 242,
  JSON: 245,
  NEWDECIMAL: 246,
  GEOMETRY: 255,
} as const

type Route = Omit<MysqlColumn, 'name' | 'isCalculatedYear'>

function plain(type: ColumnType, readAs: string): Route {
  return { type, readAs, encoding: 'plain', value: place => place, isFloat: false }
}

function text(type: ColumnType, value: (text: string) => string): Route {
  return { type, readAs: 'VARCHAR', encoding: 'escaped', value, isFloat: false }
}

const TEXT = text({ kind: 'text' }, unescaped)
const JSON_TEXT = text({ kind: 'json' }, place => `CAST(${unescaped(place)} AS JSON)`)
const BYTES: Route = { ...text({ kind: 'bytes' }, place => `unhex(${place})`), encoding: 'hex' }
const INTEGER = plain({ kind: 'integer' }, 'INTEGER')
const LONG = plain({ kind: 'long' }, 'BIGINT')

/** Drops the trailing zeros of a second's fraction, as everywhere in Sluice. */
function trimmed(place: string): string {
  return `CASE WHEN contains(${place}, '.') THEN rtrim(rtrim(${place}, '0'), '.') ELSE ${place} END`
}

/** Reads texts that need no escape, such as dates and times. */
function clockText(value: (place: string) => string): Route {
  return { ...text({ kind: 'text' }, value), encoding: 'plain' }
}

function decimal({ columnLength, decimals, flags }: Described): Route {
  const sign = (flags & UNSIGNED) === 0 ? 1 : 0
  const precision = columnLength - sign - (decimals > 0 ? 1 : 0)
  if (precision > 38) return { ...numberText((flags & ZEROFILL) !== 0), encoding: 'plain' }
  // An expression may have no digits before the point.
  return decimalOf(Math.max(precision, decimals, 1), decimals)
}

function decimalOf(precision: number, scale: number): Route {
  const type = { kind: 'decimal', precision, scale } as const
  const value = decimalFromText(type)
  return value === null ? plain(type, `DECIMAL(${precision},${scale})`) : { ...plain(type, 'VARCHAR'), value }
}

/** A number of any length. It loses the leading zeros of a ZEROFILL, which JSON does not allow. */
function numberText(isFilled: boolean): Route {
  const number = (place: string) => (isFilled ? `regexp_replace(${place}, '^0+([0-9])', '\\1')` : place)
  return text({ kind: 'json' }, place => `CAST(${number(place)} AS JSON)`)
}

interface Described {
  readonly columnType: number
  readonly columnLength: number
  readonly decimals: number
  readonly flags: number
  readonly characterSet: number
}

/** Returns how the values of a column get into DuckDB. Throws if mysql2's description lacks a field. */
export function carryMysql(field: DescribedField): MysqlColumn {
  const { columnType, columnLength, decimals, flags, characterSet } = field
  if (columnType === undefined || columnLength === undefined || decimals === undefined)
    throw new Error(`column ${field.name} is described in part only`)
  const described = {
    columnType,
    columnLength,
    decimals,
    flags: typeof flags === 'number' ? flags : 0,
    characterSet: characterSet ?? BINARY_CHARSET,
  }
  const isCalculatedYear = columnType === TYPE.YEAR && !field.orgName
  return { name: field.name, ...routeOf(described, field), isCalculatedYear }
}

function routeOf(described: Described, field: DescribedField): Route {
  const isUnsigned = (described.flags & UNSIGNED) !== 0
  switch (described.columnType) {
    case TYPE.TINY:
    case TYPE.SHORT:
    case TYPE.INT24:
    case TYPE.YEAR:
      return INTEGER
    case TYPE.LONG:
      return isUnsigned ? LONG : INTEGER
    case TYPE.LONGLONG:
      return isUnsigned ? decimalOf(20, 0) : LONG
    case TYPE.FLOAT:
      return { ...plain({ kind: 'float' }, 'FLOAT'), isFloat: true }
    case TYPE.DOUBLE:
      return plain({ kind: 'double' }, 'DOUBLE')
    case TYPE.DECIMAL:
    case TYPE.NEWDECIMAL:
      return decimal(described)
    case TYPE.DATE:
      return clockText(place => place)
    case TYPE.TIME:
      return clockText(trimmed)
    case TYPE.DATETIME:
      return clockText(place => `replace(${trimmed(place)}, ' ', 'T')`)
    case TYPE.TIMESTAMP:
      return clockText(place => `replace(${trimmed(place)}, ' ', 'T') || 'Z'`)
    case TYPE.BIT:
      return { ...clockText(place => place), encoding: { bits: described.columnLength } }
    case TYPE.JSON:
      return JSON_TEXT
    case TYPE.GEOMETRY:
    case TYPE.VECTOR:
      return BYTES
    default:
      return stringOf(described, field)
  }
}

function stringOf({ characterSet }: Described, { extendedFormat, extendedTypeName }: DescribedField): Route {
  if (extendedFormat === 'json') return JSON_TEXT
  if (extendedTypeName === 'uuid') return plain({ kind: 'uuid' }, 'UUID')
  return characterSet === BINARY_CHARSET ? BYTES : TEXT
}
