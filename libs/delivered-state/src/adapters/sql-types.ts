/**
 * SQL for the values of rows. Three forms of a value meet here:
 * - as a source extracted it: a column of a DuckDB type;
 * - as it is stored: a member of a JSON object (row-json.ts), read as text;
 * - canonical text (contracts/values.ts), which keys are made of.
 * Hashes are made of forms that both of the first two lead to, so that a stored row and an equal extracted
 * one have the same hash.
 */
import type { Column, ColumnType } from '@sluice/contracts/values'

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** Canonical text of a date; years outside 1–9999 as ISO 8601 counts them, with a sign and six digits. */
function dateText(x: string): string {
  return (
    `CASE WHEN ${x} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' OR isinf(${x}) THEN CAST(${x} AS VARCHAR)` +
    ` WHEN ${x} IS NULL THEN NULL ELSE ${farYear(x)} || strftime(${x}, '-%m-%d') END`
  )
}

/** The year of a date or timestamp that is not written with four digits and no sign, or year 0. */
function farYear(x: string): string {
  return `(CASE WHEN year(${x}) = 0 THEN '0000' ELSE printf('%s%06d', CASE WHEN year(${x}) < 0 THEN '-' ELSE '+' END, abs(year(${x}))) END)`
}

function timestampText(x: string, zone: boolean): string {
  // timezone('UTC', …) is the same, five times as slow, and rounds microseconds in years after 287396.
  const local = zone ? `make_timestamp(epoch_us(${x}))` : x
  const suffix = zone ? " || 'Z'" : ''
  return (
    `CASE WHEN ${x} IS NULL THEN NULL WHEN isinf(${x}) THEN CAST(${x} AS VARCHAR)` +
    ` WHEN ${local} BETWEEN TIMESTAMP '0001-01-01 00:00:00' AND TIMESTAMP '9999-12-31 23:59:59.999999'` +
    ` THEN replace(CAST(${local} AS VARCHAR), ' ', 'T')${suffix}` +
    ` ELSE ${farYear(local)} || strftime(${local}, '-%m-%d') || 'T' || CAST(CAST(${local} AS TIME) AS VARCHAR)${suffix} END`
  )
}

/**
 * An ISO 8601 duration without its zero parts. DuckDB's parts all have the sign of the unit that they are
 * taken from.
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

/** DuckDB leaves the zero before the point away where a type has no digit there. */
function decimalText(x: string, type: DecimalType): string {
  const text = `CAST(${x} AS VARCHAR)`
  return type.precision > type.scale
    ? text
    : `CASE WHEN ${x} < 0 THEN '-0' || substr(${text}, 2) ELSE '0' || ${text} END`
}

interface DecimalType {
  readonly precision: number
  readonly scale: number
}

/**
 * The decimal of a text; NULL for one that does not fit. Of more than 18 digits DuckDB's own cast takes some
 * 10 µs a value, a hundred times as long as by way of a whole number.
 */
function decimalOfText(x: string, { precision, scale }: DecimalType): string {
  const cast = `TRY_CAST(${x} AS DECIMAL(${precision},${scale}))`
  if (precision <= 18) return cast
  const whole = `TRY_CAST(TRY_CAST(replace(${x}, '.', '') AS HUGEINT) AS DECIMAL(${precision},0))`
  const unit = `CAST('0.${'1'.padStart(scale, '0')}' AS DECIMAL(${scale},${scale}))`
  const scaled = scale === 0 ? whole : `CAST(${whole} * ${unit} AS DECIMAL(${precision},${scale}))`
  const hasAll =
    scale === 0
      ? `NOT contains(${x}, '.')`
      : `contains(${x}, '.') AND length(${x}) - instr(${x}, '.') = ${scale}`
  return `CASE WHEN ${hasAll} AND NOT contains(${x}, 'e') THEN ${scaled} ELSE ${cast} END`
}

/** Canonical text of an extracted value of a kind that has one and no nested values; NULL stays NULL. */
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

/**
 * Applies SQL for leaves to a value of any depth. `leaf` of `null` says that values of the kind are taken as
 * they are.
 */
function deep(type: ColumnType, x: string, leaf: (type: ColumnType, x: string) => string): string {
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

/**
 * The form in which lists and structs are hashed: the JSON of the texts of their leaves. DuckDB's own hash of
 * an empty list is that of null, and so is that of a struct of nulls; [[1], [2]] has that of [[1, 2]].
 */
function nestedHashForm(
  type: ColumnType,
  x: string,
  leafText: (type: ColumnType, x: string) => string,
): string {
  return `CAST(to_json(${deep(type, x, leafText)}) AS VARCHAR)`
}

function isNested({ kind }: ColumnType): boolean {
  return kind === 'list' || kind === 'struct'
}

/** An extracted value in the form that is hashed. */
export function hashFormOfExtracted(type: ColumnType, x: string): string {
  if (isNested(type))
    return nestedHashForm(type, x, (leaf, value) => `CAST(${hashFormOfExtracted(leaf, value)} AS VARCHAR)`)
  switch (type.kind) {
    case 'boolean':
    case 'long':
    case 'decimal':
    case 'float':
    case 'double':
    case 'text':
      return x
    case 'integer':
      return `CAST(${x} AS BIGINT)`
    case 'bytes':
      return `to_base64(${x})`
    default:
      return canonicalText(type, x)
  }
}

/**
 * A stored value, read as text, in the form that is hashed. What does not fit the type any more becomes NULL,
 * or stays the text that it is inside of a list or struct: DuckDB's own casts would round it, and the row
 * would seem to have the rounded value already.
 */
export function hashFormOfStored(type: ColumnType, x: string): string {
  if (isNested(type))
    return nestedHashForm(type, x, (leaf, value) => {
      const form = hashFormOfStored(leaf, value)
      return form === value ? value : `coalesce(CAST(${form} AS VARCHAR), ${value})`
    })
  switch (type.kind) {
    case 'boolean':
      return `CASE ${x} WHEN 'true' THEN true WHEN 'false' THEN false END`
    case 'integer':
    case 'long':
      return `CASE WHEN contains(${x}, '.') OR contains(${x}, 'e') THEN NULL ELSE TRY_CAST(${x} AS BIGINT) END`
    case 'decimal': {
      const cast = decimalOfText(x, type)
      const digits = `length(rtrim(split_part(${x}, '.', 2), '0'))`
      return (
        `CASE WHEN contains(${x}, 'e') THEN NULL` +
        ` WHEN length(${x}) - instr(${x}, '.') = ${type.scale} THEN ${cast} WHEN ${digits} <= ${type.scale} THEN ${cast} END`
      )
    }
    case 'float':
      return `TRY_CAST(${x} AS FLOAT)`
    case 'double':
      return `TRY_CAST(${x} AS DOUBLE)`
    default:
      return x
  }
}

/** The key text that a stored value makes. */
export function keyTextOfStored(type: ColumnType, x: string): string {
  switch (type.kind) {
    case 'float':
    case 'double':
      return `CAST(TRY_CAST(${x} AS ${type.kind}) AS VARCHAR)`
    case 'decimal':
      return decimalText(decimalOfText(x, type), type)
    case 'bytes':
      return `lower(hex(from_base64(${x})))`
    default:
      return x
  }
}

/** The structure that `from_json` reads a stored row into: the same nesting, all leaves text. */
export function storedStructure(columns: readonly Column[]): string {
  return JSON.stringify(Object.fromEntries(columns.map(column => [column.name, structureOf(column.type)])))
}

/** The same, but what holds structs is kept as the JSON that it is: all its fields have to be there. */
export function structureWithJson(columns: readonly Column[]): string {
  const entries = columns.map(({ name, type }) => [name, holdsStruct(type) ? 'JSON' : structureOf(type)])
  return JSON.stringify(Object.fromEntries(entries))
}

export function holdsStruct(type: ColumnType): boolean {
  return type.kind === 'struct' || (type.kind === 'list' && holdsStruct(type.of))
}

/** What `storedStructure` makes of a stored value, of its JSON. */
export function fromStoredJson(type: ColumnType, json: string): string {
  return `from_json(${json}, ${quoteText(JSON.stringify(structureOf(type)))})`
}

/** SQL for how many members that are not null the objects of a JSON text without blanks have. */
export function memberCount(json: string): string {
  const withoutTexts = `regexp_replace(${json}, '"([^"\\\\]|\\\\.)*"', 's', 'g')`
  return `coalesce(len(regexp_extract_all(${withoutTexts}, 's:[^n]')), 0)`
}

function structureOf(type: ColumnType): unknown {
  switch (type.kind) {
    case 'list':
      return [structureOf(type.of)]
    case 'struct':
      return Object.fromEntries(type.fields.map(field => [field.name, structureOf(field.type)]))
    default:
      return 'VARCHAR'
  }
}

/** A nested extracted value in a form whose JSON loses nothing when JavaScript parses it. */
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
