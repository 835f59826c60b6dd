/**
 * The text format in which a database server's rows reach DuckDB. It is the text format of PostgreSQL's `COPY
 * … TO STDOUT`. A tab divides columns, a line feed ends a row, and null is `\N`. Tabs, line breaks and
 * backslashes inside of values are escaped, so that tab and line feed always divide. So DuckDB can read any
 * range in parallel, which it cannot do reliably if quotes may hide line breaks.
 *
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS. A NUL byte, which PostgreSQL's
 * text does not have, is escaped as `\0`.
 */
import { quoteText } from '../duckdb/types.ts'

/**
 * The longest row in this format. A change has its row in one record, and no record of the log is larger than
 * 10 MB. DuckDB reads in pieces of this size, so a higher value would cost memory and time.
 */
export const MAX_ROW_BYTES = 12_000_000

/** Returns SQL that reads a file of this format. Its columns are c0, c1, … */
export function readRows(file: string, types: readonly string[]): string {
  const columns = types.map((type, index) => `c${index}: ${quoteText(type)}`)
  const options = [
    quoteText(file),
    `columns = {${columns.join(', ')}}`,
    'auto_detect = false',
    'header = false',
    `delim = '\t'`,
    `quote = ''`,
    `escape = ''`,
    `nullstr = '\\N'`,
    `new_line = '\\n'`,
    `max_line_size = ${MAX_ROW_BYTES}`,
    `buffer_size = ${MAX_ROW_BYTES}`,
  ]
  return `read_csv(${options.join(', ')})`
}

/** All escapes except those of backslash and tab, each with the code of its character. */
const ESCAPES = [
  ['n', 10],
  ['r', 13],
  ['b', 8],
  ['f', 12],
  ['v', 11],
  ['0', 0],
] as const

/**
 * Returns SQL for the value of an escaped text. No escaped text contains a tab. So a tab stands for a
 * backslash until all other escapes are undone. Then the two are exchanged.
 */
export function unescaped(text: string): string {
  let sql = `replace(${text}, '\\\\', chr(9))`
  for (const [letter, code] of ESCAPES) sql = `replace(${sql}, '\\${letter}', chr(${code}))`
  const swapped = `translate(replace(${sql}, '\\t', '\\'), '\\' || chr(9), chr(9) || '\\')`
  return `CASE WHEN contains(${text}, '\\') THEN ${swapped} ELSE ${text} END`
}

const ESCAPED = /[\\\t\n\r\b\f\v\0]/g
const LETTERS = new Map([
  ['\\', '\\'],
  ['\t', 't'],
  ...ESCAPES.map(([letter, code]) => [String.fromCharCode(code), letter] as const),
])

/** Escapes a text as a server does in a row. */
export function escaped(text: string): string {
  return text.replaceAll(ESCAPED, character => `\\${LETTERS.get(character) ?? character}`)
}

/** With more digits, DuckDB's own cast takes a hundred times as long: about 10 µs a value. */
const MAX_QUICK_DIGITS = 18

/**
 * Returns SQL that reads a decimal from its text. A decimal of many digits is read as a whole number without
 * its point, and then scaled. Returns null for few digits, which DuckDB reads directly.
 */
export function decimalFromText({
  precision,
  scale,
}: {
  readonly precision: number
  readonly scale: number
}): ((text: string) => string) | null {
  if (precision <= MAX_QUICK_DIGITS) return null
  const unit = `CAST('0.${'1'.padStart(scale, '0')}' AS DECIMAL(${scale},${scale}))`
  return text => {
    const cast = `CAST(${text} AS DECIMAL(${precision},${scale}))`
    const whole = `CAST(CAST(replace(${text}, '.', '') AS HUGEINT) AS DECIMAL(${precision},0))`
    if (scale === 0) return `CASE WHEN contains(${text}, '.') THEN ${cast} ELSE ${whole} END`
    const scaled = `CAST(${whole} * ${unit} AS DECIMAL(${precision},${scale}))`
    const hasAll = `contains(${text}, '.') AND length(${text}) - instr(${text}, '.') = ${scale}`
    return `CASE WHEN ${hasAll} THEN ${scaled} ELSE ${cast} END`
  }
}
