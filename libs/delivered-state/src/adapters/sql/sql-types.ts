/**
 * SQL for the values of rows. Three forms of a value meet here:
 * - as a source extracted it: a column of a DuckDB type;
 * - as it is stored: a member of a JSON object (row-json.ts), read as text;
 * - canonical text (contracts/values.ts), which keys are made of.
 * Rows are compared by how they read (`readingOfExtracted`, `readingOfStored`): each value as the text that a
 * template prints, whatever its type, so that 5 is the same as '5', and 1.50 is not 1.5.
 */
import type { Column, ColumnType } from '@sluice/contracts/values'
import { canonicalText, decimalText, type DecimalType, deep, quoteText } from '@sluice/domain/canonical-sql'

export { canonicalText, quoteIdentifier, quoteText } from '@sluice/domain/canonical-sql'

/**
 * Returns SQL for the decimal of a text; NULL for one that does not fit. Beyond 18 digits, DuckDB's own cast
 * takes some 10 µs a value, a hundred times as long as by way of a whole number.
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

/**
 * Returns SQL for the reading of a list or struct: the JSON of the readings of its leaves, all of them text.
 * So a list differs from null, and [[1], [2]] from [[1, 2]].
 */
function nestedReading(
  type: ColumnType,
  x: string,
  leafText: (type: ColumnType, x: string) => string,
): string {
  return `CAST(to_json(${deep(type, x, leafText)}) AS VARCHAR)`
}

export function isNested({ kind }: ColumnType): boolean {
  return kind === 'list' || kind === 'struct'
}

/** Returns SQL for the reading of an extracted value; NULL stays NULL. */
export function readingOfExtracted(type: ColumnType, x: string): string {
  if (isNested(type)) return nestedReading(type, x, readingOfExtracted)
  switch (type.kind) {
    case 'float':
      // As DOUBLE the digits are the same, and large ones print in the same way.
      return doubleReading(`CAST(CAST(${x} AS VARCHAR) AS DOUBLE)`)
    case 'double':
      return doubleReading(x)
    case 'bytes':
      return `to_base64(${x})`
    default:
      return canonicalText(type, x)
  }
}

/**
 * Returns SQL for the reading of a DOUBLE, without the digit after the point that DuckDB prints for whole
 * numbers. NaN and infinities read as they are stored, so that they differ from the text 'inf'.
 */
function doubleReading(x: string): string {
  const text = `CAST(${x} AS VARCHAR)`
  return (
    `CASE WHEN isfinite(${x}) THEN CASE WHEN ends_with(${text}, '.0') THEN left(${text}, -2) ELSE ${text} END` +
    ` WHEN ${x} IS NULL THEN NULL WHEN isnan(${x}) THEN 'NaN' WHEN ${x} > 0 THEN 'Infinity' ELSE '-Infinity' END`
  )
}

/**
 * Returns SQL for the reading of a stored value, given as text, whose column has this type now. The value
 * reads as it is, with two exceptions. First, JSON writes all digits of a whole double from 1e16 on. If these
 * are the shortest digits of the double, it reads as DuckDB prints it. (9007199254740993 is not a double, so
 * it reads as it is.) Second, a decimal that names a float reads as that float.
 */
export function readingOfStored(type: ColumnType, x: string): string {
  if (isNested(type)) return nestedReading(type, x, readingOfStored)
  if (type.kind !== 'float' && type.kind !== 'double') return x
  const doubleOf = (text: string): string => `TRY_CAST(${text} AS DOUBLE)`
  return once(x, 'raw', raw =>
    type.kind === 'float'
      ? once(doubleOf(raw), 'double', double => storedFloat(raw, double))
      : // Most doubles need no cast, and DuckDB makes none in a branch that is not taken.
        storedDouble(raw, doubleOf(raw)),
  )
}

/**
 * Returns SQL that gives the value of an expression a name, and uses the value by that name. DuckDB keeps the
 * values of each step of an expression as often as the expression is written. So a costly expression is
 * written once.
 */
export function once(x: string, name: string, use: (name: string) => string): string {
  return `list_transform([${x}], lambda ${name}: ${use(name)})[1]`
}

function storedDouble(stored: string, double: string): string {
  const digits = `rtrim(ltrim(${stored}, '-'), '0')`
  const shortest = `rtrim(replace(ltrim(split_part(CAST(${double} AS VARCHAR), 'e', 1), '-'), '.', ''), '0')`
  const isLong = `length(${stored}) >= 17 AND regexp_full_match(${stored}, '-?[1-9][0-9]{16,20}')`
  return `CASE WHEN ${isLong} AND ${digits} = ${shortest} THEN ${once(double, 'shown', doubleReading)} ELSE ${stored} END`
}

/**
 * Returns SQL for the reading of a stored decimal of a FLOAT column. Templates print, and the state has, the
 * shortest decimal of a float (448829.38). DuckDB prints another one (448829.375), so the decimal reads as
 * the float that it names. A decimal that is not the nearest of its length to a float, such as 16777217,
 * names another number, and reads as it is.
 */
function storedFloat(stored: string, double: string): string {
  return once(storedDouble(stored, double), 'text', text => {
    const float = `TRY_CAST(${double} AS FLOAT)`
    const digits = `length(trim(replace(split_part(ltrim(${text}, '-'), 'e', 1), '.', ''), '0'))`
    const unit = `pow(10, floor(log10(nullif(abs(${double}), 0))) - ${digits} + 1)`
    const isNearest = `abs(${double} - CAST(${float} AS DOUBLE)) <= 0.500001 * ${unit}`
    const isDecimal = `${text} = ${doubleReading(double)} AND ${digits} BETWEEN 1 AND ${FLOAT_DIGITS}`
    const reading = once(`CAST(CAST(${float} AS VARCHAR) AS DOUBLE)`, 'shown', doubleReading)
    return `CASE WHEN ${isDecimal} AND ${isNearest} THEN ${reading} ELSE ${text} END`
  })
}

/** All 32-bit floats differ in this many digits. */
const FLOAT_DIGITS = 9

/** Returns SQL for the key text of a stored value; NULL if no value of the type makes it. */
export function keyTextOfStored(type: ColumnType, x: string): string {
  switch (type.kind) {
    case 'boolean':
      return `CASE WHEN ${x} IN ('true', 'false') THEN ${x} END`
    case 'integer':
    case 'long':
      return `CAST(TRY_CAST(${x} AS BIGINT) AS VARCHAR)`
    case 'float':
    case 'double':
      return `CAST(TRY_CAST(${x} AS ${type.kind}) AS VARCHAR)`
    case 'decimal':
      return decimalText(decimalOfText(x, type), type)
    case 'bytes':
      return `lower(hex(TRY(from_base64(${x}))))`
    default:
      return x
  }
}

/**
 * Returns the structure into which `from_json` reads a stored row: the same nesting, with texts as leaves.
 */
export function storedStructure(columns: readonly Column[]): string {
  return JSON.stringify(Object.fromEntries(columns.map(column => [column.name, structureOf(column.type)])))
}

/** Returns the structure as `storedStructure` does, but lists and structs stay JSON. */
export function structureWithJson(columns: readonly Column[]): string {
  const entries = columns.map(({ name, type }) => [name, isNested(type) ? 'JSON' : 'VARCHAR'])
  return JSON.stringify(Object.fromEntries(entries))
}

/** Returns SQL that reads the JSON of one stored value, as `storedStructure` does for a row. */
export function fromStoredJson(type: ColumnType, json: string): string {
  return `from_json(${json}, ${quoteText(JSON.stringify(structureOf(type)))})`
}

/**
 * SQL that is true if two JSON texts without blanks differ in one of three counts: values that are not null,
 * lists, and objects. Members of objects, texts, numbers and booleans are values.
 */
export function differInCounts(one: string, other: string): string {
  return `${countsIn(one)} <> ${countsIn(other)}`
}

function countsIn(json: string): string {
  return once(`regexp_replace(${json}, '"([^"\\\\]|\\\\.)*"', 's', 'g')`, 'bare', bare => {
    const count = (pattern: string): string => `coalesce(len(regexp_extract_all(${bare}, '${pattern}')), 0)`
    const values = `${count('s:[^n]')} + ${count('(?:s|[0-9]|true|false)(?:[],}]|$)')}`
    return `[${values}, ${count('\\[')}, ${count('\\{')}]`
  })
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
