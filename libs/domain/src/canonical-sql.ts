/**
 * SQL of DuckDB that gives values of a column as texts: the canonical ones (contracts/values.ts), which keys
 * are made of, and a form whose JSON `valueReader` reads. The types that hold the values stand here, too.
 */
import type { ColumnType } from '@sluice/contracts/values'

/** Quotes an identifier, so that any name is allowed. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Returns the text as an SQL literal, in single quotes. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** Returns SQL for the text of a date. Years outside 1–9999 have a sign and six digits, as in ISO 8601. */
function dateText(x: string): string {
  return (
    `CASE WHEN ${x} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' OR isinf(${x}) THEN CAST(${x} AS VARCHAR)` +
    ` WHEN ${x} IS NULL THEN NULL ELSE ${farYear(x)} || strftime(${x}, '-%m-%d') END`
  )
}

/** Returns SQL for a year that is 0, or needs a sign and six digits. */
function farYear(x: string): string {
  return `(CASE WHEN year(${x}) = 0 THEN '0000' ELSE printf('%s%06d', CASE WHEN year(${x}) < 0 THEN '-' ELSE '+' END, abs(year(${x}))) END)`
}

function timestampText(x: string, zone: boolean): string {
  // timezone('UTC', …) would give the same, but takes five times as long, and rounds microseconds in years
  // after 287396.
  const local = zone ? `make_timestamp(epoch_us(${x}))` : x
  const suffix = zone ? " || 'Z'" : ''
  return (
    `CASE WHEN ${x} IS NULL THEN NULL WHEN isinf(${x}) THEN CAST(${x} AS VARCHAR)` +
    // This branch serves most timestamps, in half of the time.
    ` WHEN ${local} BETWEEN TIMESTAMP '1000-01-01 00:00:00' AND TIMESTAMP '9999-12-31 23:59:59' AND epoch_us(${local}) % 1000000 = 0` +
    ` THEN strftime(${local}, '%Y-%m-%dT%H:%M:%S${zone ? 'Z' : ''}')` +
    ` WHEN ${local} BETWEEN TIMESTAMP '0001-01-01 00:00:00' AND TIMESTAMP '9999-12-31 23:59:59.999999'` +
    ` THEN replace(CAST(${local} AS VARCHAR), ' ', 'T')${suffix}` +
    ` ELSE ${farYear(local)} || strftime(${local}, '-%m-%d') || 'T' || CAST(CAST(${local} AS TIME) AS VARCHAR)${suffix} END`
  )
}

/**
 * Returns SQL for an ISO 8601 duration without its zero parts. DuckDB's parts have the sign of the unit that
 * they are taken from.
 */
function intervalText(x: string): string {
  const part = (unit: string, letter: string) =>
    `CASE WHEN date_part('${unit}', ${x}) = 0 THEN '' ELSE date_part('${unit}', ${x}) || '${letter}' END`
  const micros = `date_part('microsecond', ${x})`
  const seconds =
    `CASE WHEN ${micros} = 0 THEN '' ELSE CASE WHEN ${micros} < 0 THEN '-' ELSE '' END || abs(${micros}) // 1000000 ||` +
    ` CASE WHEN abs(${micros}) % 1000000 = 0 THEN '' ELSE '.' || rtrim(lpad(CAST(abs(${micros}) % 1000000 AS VARCHAR), 6, '0'), '0') END || 'S' END`
  const date = `${part('year', 'Y')} || ${part('month', 'M')} || ${part('day', 'D')}`
  const time = `${part('hour', 'H')} || ${part('minute', 'M')} || ${seconds}`
  return (
    `CASE WHEN ${x} IS NULL THEN NULL WHEN ${x} = INTERVAL 0 SECOND AND ${date} || ${time} = '' THEN 'PT0S'` +
    ` ELSE 'P' || ${date} || CASE WHEN ${time} = '' THEN '' ELSE 'T' || ${time} END END`
  )
}

/** Adds the zero before the point, which DuckDB leaves away if a type has no digit there. */
export function decimalText(x: string, type: DecimalType): string {
  const text = `CAST(${x} AS VARCHAR)`
  return type.precision > type.scale
    ? text
    : `CASE WHEN ${x} < 0 THEN '-0' || substr(${text}, 2) ELSE '0' || ${text} END`
}

export interface DecimalType {
  readonly precision: number
  readonly scale: number
}

/**
 * Returns SQL for the canonical text of an extracted value; NULL stays NULL. The type must have canonical
 * text, and must not be nested.
 */
export function canonicalText(type: ColumnType, x: string): string {
  switch (type.kind) {
    case 'text':
      return x
    case 'date':
      return dateText(x)
    case 'timestamp':
      return timestampText(x, type.zone)
    case 'interval':
      return intervalText(x)
    case 'decimal':
      return decimalText(x, type)
    case 'bytes':
      return `lower(hex(${x}))`
    case 'boolean':
    case 'integer':
    case 'long':
    case 'float':
    case 'double':
    case 'json':
    case 'uuid':
    case 'time':
      return `CAST(${x} AS VARCHAR)`
    case 'list':
    case 'struct':
      return `CAST(to_json(${x}) AS VARCHAR)`
    default:
      return type satisfies never
  }
}

/** Applies SQL for leaves to a value of any depth. A `leaf` that returns `x` leaves a value as it is. */
export function deep(type: ColumnType, x: string, leaf: (type: ColumnType, x: string) => string): string {
  if (type.kind === 'list') {
    if (deep(type.of, 'item', leaf) === 'item') return x
    return `list_transform(${x}, lambda item: ${deep(type.of, 'item', leaf)})`
  }
  if (type.kind === 'struct') {
    const entries = type.fields.map(field => {
      const name = quoteIdentifier(field.name)
      return `${name} := ${deep(field.type, `(${x}).${name}`, leaf)}`
    })
    return `CASE WHEN ${x} IS NULL THEN NULL ELSE struct_pack(${entries.join(', ')}) END`
  }
  return leaf(type, x)
}

/** Returns SQL for a nested value in a form whose JSON loses nothing when JavaScript parses it. */
export function jsonForm(type: ColumnType, x: string): string {
  return deep(type, x, (leaf, value) => {
    switch (leaf.kind) {
      case 'boolean':
      case 'integer':
      case 'text':
        return value
      case 'bytes':
        return `to_base64(${value})`
      default:
        return canonicalText(leaf, value)
    }
  })
}

/**
 * Returns SQL for a row's key, out of the texts of its columns: the text of one, or a JSON array of several.
 */
export function keySql(texts: readonly string[]): string {
  return texts.length === 1 ? (texts[0] ?? '') : `CAST(to_json([${texts.join(', ')}]) AS VARCHAR)`
}

/** Returns the DuckDB type that holds the values of a column. */
export function sqlTypeOf(type: ColumnType): string {
  switch (type.kind) {
    case 'decimal':
      return `DECIMAL(${type.precision},${type.scale})`
    case 'timestamp':
      return type.zone ? 'TIMESTAMPTZ' : 'TIMESTAMP'
    case 'list':
      return `${sqlTypeOf(type.of)}[]`
    case 'struct':
      return `STRUCT(${type.fields.map(field => `${quoteIdentifier(field.name)} ${sqlTypeOf(field.type)}`).join(', ')})`
    default:
      return SQL_TYPES[type.kind]
  }
}

const SQL_TYPES: {
  readonly [kind in Exclude<ColumnType['kind'], 'decimal' | 'timestamp' | 'list' | 'struct'>]: string
} = {
  boolean: 'BOOLEAN',
  integer: 'INTEGER',
  long: 'BIGINT',
  float: 'FLOAT',
  double: 'DOUBLE',
  text: 'VARCHAR',
  json: 'JSON',
  bytes: 'BLOB',
  uuid: 'UUID',
  date: 'DATE',
  time: 'TIME',
  interval: 'INTERVAL',
}
