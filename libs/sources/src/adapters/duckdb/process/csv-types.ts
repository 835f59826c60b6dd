/**
 * Finds columns of CSV files in which DuckDB would change a value (R18). It guesses types by the first 20,480
 * rows. Then it reads a later 1.5 among whole numbers as 2, 01234 as 1234, and a day with a time as the day
 * alone. Whole numbers beyond 64 bits become DOUBLE, which rounds them.
 *
 * So each file is read once more, as text, and one number for each column gathers the kinds of its values.
 * The resulting types are those that DuckDB guesses from all rows, except for such large numbers. Columns
 * whose types the query names keep them, and so do days and times for which it names a format.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { NO_READ_OPTIONS, optionName, type ReadOptions, typedColumns } from '../file-references.ts'
import { quoteIdentifier, quoteText } from '../types.ts'
import { constantText, isNode, type Node } from './tree-nodes.ts'
import { CHECKS, NUMBERS, OTHER, REFUSED, TIMES } from './value-kinds.ts'

/** With one of these options, the query itself decides the types of all columns. */
const SAYS_TYPES = new Set([
  ...['columns', 'all_varchar', 'auto_detect', 'auto_type_candidates'],
  // These leave out rows with values that do not fit the guessed type.
  ...['ignore_errors', 'store_rejects'],
])
/** With one of these options, the query decides the form of days and times. Other types are still checked. */
export const SAYS_TIMES = new Set(['dateformat', 'date_format', 'timestampformat', 'timestamp_format'])
/** Columns that one query checks. DuckDB holds 2,048 values for each step of an expression. */
const MAX_COLUMNS = 50

/** Returns the options of one read of CSV files: the types of columns for which DuckDB guessed wrongly. */
export async function optionsForCsv(connection: DuckDBConnection, call: Node): Promise<ReadOptions> {
  if (!Array.isArray(call['children'])) return NO_READ_OPTIONS
  const written = call['children'].map(optionName)
  if (written.some(name => name !== undefined && SAYS_TYPES.has(name))) return NO_READ_OPTIONS
  const typed = typedColumns(call['children'])
  if (typed === 'other') return NO_READ_OPTIONS
  const saysTimes = written.some(name => name !== undefined && SAYS_TIMES.has(name))
  const asNumber = numberSql(call['children'])
  const read = await sqlOfCall(connection, call)
  // If DuckDB cannot read the file at all, the query itself reports that, with the place in its text.
  const guessed = await describe(connection, read).catch(() => [])
  const columns = guessed.slice(typed.first).flatMap(({ name, type }) => {
    const isSaid = typed.names.has(name.toLowerCase()) || (saysTimes && TIMES.has(type))
    const check = isSaid ? undefined : CHECKS[type]
    return check === undefined ? [] : [{ name, type, check }]
  })
  if (columns.length === 0) return NO_READ_OPTIONS
  // Without guessed types, DuckDB may no longer know if the first row is a header.
  const hasHeader = !guessed.every(({ name }, index) => Number(/^column(\d+)$/.exec(name)?.[1]) === index)
  const header = written.includes('header') ? [] : [`header = ${String(hasHeader)}`]
  const texts = withOptions(read, ['all_varchar = true', ...header])
  const named = (await describe(connection, texts)).map(({ name }) => name)
  if (named.join('\n') !== guessed.map(({ name }) => name).join('\n')) return NO_READ_OPTIONS
  const differing: string[] = []
  for (let first = 0; first < columns.length; first += MAX_COLUMNS) {
    const some = columns.slice(first, first + MAX_COLUMNS)
    const kinds = some.map(({ name, type, check }) => {
      const text = `trim(CAST(${quoteIdentifier(name)} AS VARCHAR), E' \\t\\r\\n\\v\\f')`
      const value = NUMBERS.has(type) ? asNumber(text) : text
      const otherwise = `if(TRY_CAST(${value} AS ${type}) IS NULL, ${REFUSED}, ${OTHER})`
      return `bit_or(CASE WHEN ${quoteIdentifier(name)} IS NOT NULL THEN coalesce(${check.kind(value)}, ${otherwise}) END)`
    })
    const reader = await connection.runAndReadAll(`SELECT ${kinds.join(', ')} FROM ${texts}`)
    const [found = []] = reader.getRows()
    for (const [index, { name, type, check }] of some.entries()) {
      const ofAll = found[index]
      const isKept = ofAll === null || ofAll === undefined || (Number(ofAll) & REFUSED) !== 0
      const right = isKept ? type : check.type(Number(ofAll))
      if (right !== type) differing.push(`${quoteText(name)}: ${quoteText(right)}`)
    }
  }
  return differing.length === 0 ? NO_READ_OPTIONS : { types: differing, others: header }
}

/** Returns SQL that turns a number with the query's separators into one that DuckDB casts. */
function numberSql(options: readonly unknown[]): (text: string) => string {
  const separator = (wanted: string): string | null => {
    const option = options.find(each => optionName(each) === wanted)
    return isNode(option) ? constantText(option['right'] ?? option) : null
  }
  const thousands = separator('thousands')
  const point = separator('decimal_separator') ?? '.'
  return text => {
    const joined = thousands === null ? text : `replace(${text}, ${quoteText(thousands)}, '')`
    // With another decimal separator, a text that contains a point must not become a number.
    return point === '.' ? joined : `replace(replace(${joined}, '.', '?'), ${quoteText(point)}, '.')`
  }
}

/** Returns the SQL of a table function's call. */
export async function sqlOfCall(connection: DuckDBConnection, call: Node): Promise<string> {
  const star = await connection.runAndReadAll("SELECT json_serialize_sql('SELECT * FROM t')")
  const tree: unknown = JSON.parse(String(star.getRows()[0]?.[0]), (name, value: unknown) =>
    name === 'from_table' ? { type: 'TABLE_FUNCTION', function: call } : value,
  )
  const reader = await connection.runAndReadAll('SELECT json_deserialize_sql($1::JSON)', [
    JSON.stringify(tree),
  ])
  return String(reader.getRows()[0]?.[0]).replace(/^SELECT \* FROM /, '')
}

/** Adds options to the SQL of a call. */
export function withOptions(read: string, options: readonly string[]): string {
  return `${read.slice(0, read.lastIndexOf(')'))}, ${options.join(', ')})`
}

async function describe(
  connection: DuckDBConnection,
  read: string,
): Promise<readonly { readonly name: string; readonly type: string }[]> {
  const reader = await connection.runAndReadAll(`DESCRIBE FROM ${read}`)
  return reader.getRows().map(([name, type]) => ({ name: String(name), type: String(type) }))
}
