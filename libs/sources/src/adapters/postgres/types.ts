/**
 * Maps PostgreSQL's types to Sluice's. PostgreSQL prints values as text, by the settings of the session (see
 * connection.ts), and DuckDB reads them from it:
 *
 * | PostgreSQL | carried as |
 * |---|---|
 * | smallint, integer | integer |
 * | bigint, oid | long |
 * | numeric(p,s) of at most 38 digits | decimal(p,s); a row with NaN is invalid |
 * | numeric of any precision | json: a number with all its digits; NaN and infinities are these words |
 * | timestamptz | timestamp with zone, in UTC |
 * | json, jsonb | json; json as it stands, jsonb as PostgreSQL prints it |
 * | arrays | list; an array of several dimensions fails the query |
 * | composite types | json, as to_json makes it |
 * | enums, ranges, networks, bits, timetz, money, xml, all others | text, as PostgreSQL prints it |
 */
import type { Column, ColumnType } from '@sluice/contracts/values'
import { quoteText } from '../duckdb/types.ts'
import { decimalFromText, unescaped } from '../server/row-text.ts'
import { arrayAsJson, arrayReader, type LogReader, scalarReader } from './log-values.ts'

/** PostgreSQL's description of a column. */
export interface DescribedColumn {
  readonly name: string
  readonly typeId: number
  /** The type's modifier, in which a numeric has its precision and scale; -1 for none. */
  readonly modifier: number
}

/** The catalog's entry of a type. */
export interface CatalogType {
  readonly id: number
  /** `pg_type.typtype`: b(ase), c(omposite), d(omain), e(num), p(seudo), r(ange), m(ultirange). */
  readonly kind: string
  /** `pg_type.typcategory`: A(rray), S(tring), E(num), … */
  readonly category: string
  /** The type of an array's elements; 0 for none. */
  readonly elementId: number
  /** The type of which a domain is made; 0 for none. */
  readonly baseId: number
  readonly baseModifier: number
}

export type Catalog = ReadonlyMap<number, CatalogType>

/** How a scalar gets from the text of a row into DuckDB. */
interface Scalar {
  readonly type: ColumnType
  readonly sqlType: string
  /** Returns SQL for the value, from its text. Null if DuckDB reads the text as `sqlType` directly. */
  readonly fromText: ((text: string) => string) | null
  /** True if the text may hold characters that are escaped in a row. */
  readonly hasEscapes: boolean
}

/** How the values of a column get from PostgreSQL into DuckDB. */
export interface PostgresColumn extends Column {
  /** Returns PostgreSQL's SQL that prints the column, from its value. */
  readonly select: (value: string) => string
  readonly readAs: string
  /** Returns DuckDB's SQL for the value, from the column as it was read. */
  readonly value: (place: string) => string
  /** See `LoadedColumn`. */
  readonly mayFail: boolean
  /** Makes the value of its text in the log. Null if the log prints it in another form than `select`. */
  readonly fromLog: LogReader | null
  /** Returns what `select` prints, from a text in the log that `fromLog` can read. */
  readonly asSelected: (text: string) => string
}

const BOX = 603
const BPCHAR = 1042
const NUMERIC = 1700
const RECORD = 2249
/** Types that are arrays by name only: int2vector and oidvector. */
const VECTORS = new Set([22, 30])

const HIGH_SURROGATE = String.raw`[dD][89abAB][0-9a-fA-F]{2}`
const LOW_SURROGATE = String.raw`[dD][c-fC-F][0-9a-fA-F]{2}`

/**
 * Returns SQL that replaces lone surrogates in a JSON text by U+FFFD. PostgreSQL's `json` may hold
 * `"\ud83d"`, half a character, which DuckDB refuses. Meanwhile control characters, which no JSON text has,
 * stand for escaped backslashes and for whole pairs.
 */
function wellFormed(text: string): string {
  const pair = String.raw`\\u(${HIGH_SURROGATE})\\u(${LOW_SURROGATE})`
  const lone = String.raw`\\u(${HIGH_SURROGATE}|${LOW_SURROGATE})`
  const apart = String.raw`replace(${text}, '\\', chr(1))`
  const paired = String.raw`regexp_replace(${apart}, '${pair}', chr(2) || '\1' || chr(2) || '\2', 'g')`
  const replaced = String.raw`regexp_replace(${paired}, '${lone}', '\\ufffd', 'g')`
  return String.raw`replace(replace(${replaced}, chr(2), '\u'), chr(1), '\\')`
}

function plain(type: ColumnType, sqlType: string): Scalar {
  return { type, sqlType, fromText: null, hasEscapes: false }
}

const TEXT: Scalar = {
  type: { kind: 'text' },
  sqlType: 'VARCHAR',
  fromText: text => text,
  hasEscapes: true,
}
const JSON_TEXT: Scalar = {
  type: { kind: 'json' },
  sqlType: 'JSON',
  fromText: text => `coalesce(TRY_CAST(${text} AS JSON), CAST(${wellFormed(text)} AS JSON))`,
  hasEscapes: true,
}
/** DuckDB accepts the words for NaN and infinities as JSON (contracts/values.ts, `NO_NUMBERS`). */
const NUMBER_AS_JSON: Scalar = { ...JSON_TEXT, hasEscapes: false, fromText: text => `CAST(${text} AS JSON)` }

/** PostgreSQL writes the era at the end, where DuckDB ignores it. DuckDB wants it behind the date. */
function dated(type: ColumnType, sqlType: string): Scalar {
  const fromText = (text: string) => {
    const moved = `regexp_replace(${text}, '^(\\S+)(.*) BC$', '\\1 (BC)\\2')`
    return `CAST(CASE WHEN suffix(${text}, 'BC') THEN ${moved} ELSE ${text} END AS ${sqlType})`
  }
  return { type, sqlType, fromText, hasEscapes: false }
}

const SCALARS: ReadonlyMap<number, Scalar> = new Map([
  [16, plain({ kind: 'boolean' }, 'BOOLEAN')],
  [
    17,
    {
      type: { kind: 'bytes' },
      sqlType: 'BLOB',
      fromText: text => `unhex(substr(${text}, 3))`,
      hasEscapes: true,
    },
  ],
  [20, plain({ kind: 'long' }, 'BIGINT')],
  [21, plain({ kind: 'integer' }, 'INTEGER')],
  [23, plain({ kind: 'integer' }, 'INTEGER')],
  [26, plain({ kind: 'long' }, 'BIGINT')],
  [114, JSON_TEXT],
  [700, plain({ kind: 'float' }, 'FLOAT')],
  [701, plain({ kind: 'double' }, 'DOUBLE')],
  [1082, dated({ kind: 'date' }, 'DATE')],
  [1083, plain({ kind: 'time' }, 'TIME')],
  [1114, dated({ kind: 'timestamp', zone: false }, 'TIMESTAMP')],
  [1184, dated({ kind: 'timestamp', zone: true }, 'TIMESTAMPTZ')],
  [
    1186,
    {
      type: { kind: 'interval' },
      sqlType: 'INTERVAL',
      // PostgreSQL writes a `+` behind a negative part, which DuckDB does not take.
      fromText: text => `CAST(replace(${text}, '+', '') AS INTERVAL)`,
      hasEscapes: false,
    },
  ],
  [2950, plain({ kind: 'uuid' }, 'UUID')],
  [3802, JSON_TEXT],
] satisfies [number, Scalar][])

/** True for a type whose entry in the catalog is not needed. */
export function isKnownType(typeId: number): boolean {
  return SCALARS.has(typeId) || [25, BPCHAR, 1043, 19, NUMERIC, RECORD].includes(typeId)
}

/** Returns precision and scale from a numeric's modifier; null for a numeric of any precision. */
function numericOf(modifier: number): { readonly precision: number; readonly scale: number } | null {
  if (modifier < 4) return null
  const bits = modifier - 4
  // The scale is a number of 11 bits with a sign.
  const scale = ((bits & 0x7ff) ^ 1024) - 1024
  return { precision: (bits >> 16) & 0xffff, scale }
}

function decimal(modifier: number): Scalar {
  const declared = numericOf(modifier)
  if (declared === null) return NUMBER_AS_JSON
  // A negative scale rounds to the left of the point. A scale beyond the precision has leading zeros.
  const scale = Math.max(declared.scale, 0)
  const precision = Math.max(declared.precision - Math.min(declared.scale, 0), scale)
  if (precision > 38) return NUMBER_AS_JSON
  const type = { kind: 'decimal', precision, scale } as const
  const sqlType = `DECIMAL(${precision},${scale})`
  // Only NaN has no place in a decimal.
  const fromText = decimalFromText(type) ?? ((text: string) => `CAST(${text} AS ${sqlType})`)
  return { type, sqlType, fromText, hasEscapes: false }
}

interface TypeInUse {
  readonly id: number
  readonly modifier: number
}

/** Follows domains to the type of which they are made. */
function withoutDomain(type: TypeInUse, catalog: Catalog): TypeInUse {
  const known = catalog.get(type.id)
  if (known?.kind !== 'd') return type
  return withoutDomain({ id: known.baseId, modifier: known.baseModifier }, catalog)
}

function scalarOf({ id, modifier }: TypeInUse): Scalar {
  return id === NUMERIC ? decimal(modifier) : (SCALARS.get(id) ?? TEXT)
}

function isComposite(id: number, catalog: Catalog): boolean {
  return id === RECORD || catalog.get(id)?.kind === 'c'
}

/** Returns the type of an array's elements; null for any other type. */
function elementOf({ id, modifier }: TypeInUse, catalog: Catalog): TypeInUse | null {
  const known = catalog.get(id)
  if (known?.category !== 'A' || known.elementId === 0 || VECTORS.has(id)) return null
  return withoutDomain({ id: known.elementId, modifier }, catalog)
}

/** Returns how the values of a column get into DuckDB. The catalog has all types that are not known here. */
export function carryPostgres(column: DescribedColumn, catalog: Catalog): PostgresColumn {
  const { name } = column
  const type = withoutDomain({ id: column.typeId, modifier: column.modifier }, catalog)
  const element = elementOf(type, catalog)
  if (isComposite(type.id, catalog) || (element !== null && isComposite(element.id, catalog)))
    return { ...carryText(name, JSON_TEXT), select: value => `to_json(${value})`, fromLog: null }
  if (element !== null) return carryArray(name, element, catalog)
  const scalar = scalarOf(type)
  return scalar.fromText === null
    ? {
        name,
        type: scalar.type,
        select: x => x,
        readAs: scalar.sqlType,
        value: place => place,
        mayFail: false,
        fromLog: scalarReader(scalar.type),
        asSelected: text => text,
      }
    : carryText(name, scalar)
}

function carryText(name: string, { type, fromText, hasEscapes }: Scalar): PostgresColumn {
  const made = (place: string) => fromText?.(hasEscapes ? unescaped(place) : place) ?? place
  const mayFail = !ANY_TEXT.has(type.kind)
  const value = mayFail ? (place: string) => `TRY(${made(place)})` : made
  const fromLog = scalarReader(type)
  return { name, type, select: x => x, readAs: 'VARCHAR', value, mayFail, fromLog, asSelected: text => text }
}

/** Kinds that hold any text that PostgreSQL prints. */
const ANY_TEXT: ReadonlySet<ColumnType['kind']> = new Set(['text', 'bytes'])

/** An array is sent as a JSON array of the texts of its elements. */
function carryArray(name: string, element: TypeInUse, catalog: Catalog): PostgresColumn {
  const scalar = scalarOf(element)
  const category = catalog.get(element.id)?.category
  // Texts need no cast, and a cast of char(n) would cut off blanks.
  const isText = category === 'S' || category === 'E' || element.id === BPCHAR
  // A box has commas of its own.
  const divider = element.id === BOX ? ';' : ','
  const several =
    `column ${name} has an array of several dimensions, which is no list of values; ` +
    `to_json(${name}) in the query makes it JSON`
  return {
    name,
    type: { kind: 'list', of: scalar.type },
    select: value => (isText ? `to_json(${value})` : `to_json(CAST(${value} AS text[]))`),
    readAs: 'VARCHAR',
    value: place => {
      const text = unescaped(place)
      const list = `CAST(CAST(${text} AS JSON) AS VARCHAR[])`
      const item = scalar.fromText === null ? `CAST(item AS ${scalar.sqlType})` : scalar.fromText('item')
      const values = item === 'item' ? list : `list_transform(${list}, lambda item: ${item})`
      return `CASE WHEN starts_with(${place}, '[[') THEN error(${quoteText(several)}) ELSE TRY(${values}) END`
    },
    mayFail: true,
    fromLog: arrayReader(scalarReader(scalar.type), divider),
    asSelected: text => arrayAsJson(text, divider),
  }
}
