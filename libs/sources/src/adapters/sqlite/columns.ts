/**
 * The columns of a query on SQLite. A value in SQLite has a type of its own, whatever its column declares
 * (https://www.sqlite.org/datatype3.html). So all values of a column decide its type:
 *
 * | values | carried as |
 * |---|---|
 * | integers | long |
 * | reals | double |
 * | texts | text |
 * | blobs | bytes |
 * | integers, reals and texts mixed | json: each value as it is |
 * | blobs beside other values | the query fails |
 * | none but null | by the declared type, else text |
 */
import type { ColumnType } from '@sluice/contracts/values'
import type { LoadedColumn } from '../server/load-rows.ts'
import { escaped, unescaped } from '../server/row-text.ts'

/** A value as `node:sqlite` gives it, with integers as BigInt. */
export type SqliteValue = null | bigint | number | string | Uint8Array

export type StorageClass = 'integer' | 'real' | 'text' | 'blob'

export function classOf(value: Exclude<SqliteValue, null>): StorageClass {
  if (typeof value === 'bigint') return 'integer'
  if (typeof value === 'number') return 'real'
  return typeof value === 'string' ? 'text' : 'blob'
}

export interface SqliteColumn extends LoadedColumn {
  /** The classes of values that the column's type holds. */
  readonly holds: ReadonlySet<StorageClass>
  /** Writes a value of these classes as a text of a row (row-text.ts). */
  readonly write: (value: Exclude<SqliteValue, null>) => string
}

type Route = Omit<SqliteColumn, 'name'>

function plain(type: ColumnType, readAs: string, holds: StorageClass): Route {
  return { type, readAs, value: place => place, holds: new Set([holds]), write: plainText }
}

const plainText = (value: Exclude<SqliteValue, null>): string => (Object.is(value, -0) ? '-0' : String(value))

const ROUTES: { readonly [only in StorageClass]: Route } = {
  integer: plain({ kind: 'long' }, 'BIGINT', 'integer'),
  real: plain({ kind: 'double' }, 'DOUBLE', 'real'),
  text: {
    type: { kind: 'text' },
    readAs: 'VARCHAR',
    value: unescaped,
    holds: new Set(['text']),
    write: value => escaped(String(value)),
  },
  blob: {
    type: { kind: 'bytes' },
    readAs: 'VARCHAR',
    value: place => `unhex(${place})`,
    holds: new Set(['blob']),
    write: value => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : ''),
  },
}

const MIXED: Route = {
  type: { kind: 'json' },
  readAs: 'VARCHAR',
  value: place => `CAST(${unescaped(place)} AS JSON)`,
  holds: new Set(['integer', 'real', 'text']),
  write: value => escaped(jsonOf(value)),
}

/** A real keeps its point, and infinities are words, as everywhere in Sluice (contracts/values.ts). */
function jsonOf(value: Exclude<SqliteValue, null>): string {
  if (typeof value === 'string') return JSON.stringify(value)
  const text = plainText(value)
  return typeof value === 'number' && /^-?\d+$/.test(text) ? `${text}.0` : text
}

/** Returns the column for these classes of values; null if no type holds all of them. */
export function columnFor(
  name: string,
  classes: ReadonlySet<StorageClass>,
  declared: string | null,
): SqliteColumn | null {
  const [only = affinityOf(declared), ...others] = classes
  if (others.length === 0) return { name, ...ROUTES[only] }
  return classes.has('blob') ? null : { name, ...MIXED }
}

/** The class that SQLite prefers for a declared type. A type of numbers of any kind prefers integers. */
function affinityOf(declared: string | null): StorageClass {
  if (declared === null || declared === '') return 'text'
  if (/int/i.test(declared)) return 'integer'
  if (/char|clob|text/i.test(declared)) return 'text'
  if (/blob/i.test(declared)) return 'blob'
  if (/real|floa|doub/i.test(declared)) return 'real'
  return /date|time/i.test(declared) ? 'text' : 'integer'
}
