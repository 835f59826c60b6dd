/**
 * Reads stretches of a table column by column. All texts of a column come as one joined text with their
 * lengths, all numbers as one array: reading value by value through DuckDB's binding, or parsing JSON, costs
 * several times as much.
 */
import { type DuckDBConnection, type DuckDBDataChunk, DuckDBListVector } from '@duckdb/node-api'
import type { Value } from '@sluice/contracts/values'

/**
 * How one column is read: the SQL that gives text or a number, and what is made of it; NULL is null without
 * asking.
 */
export type ColumnReading =
  | { readonly form: 'text'; readonly sql: string; readonly read: ((text: string) => Value) | null }
  | { readonly form: 'number'; readonly sql: string; readonly read: ((number: number) => Value) | null }

/** Rows of a stretch, by column. */
export interface ColumnChunk {
  readonly rows: number
  /** The values of a column; null if it was not asked for. */
  column(name: string): readonly Value[] | null
}

const PLACE = 'place'

/**
 * Reads rows `start` to `end` (exclusive) of a temporary table by row id, in that order. Numbers are read as
 * DOUBLE, where NaN stands for NULL: columns that hold NaN are to be read as text.
 */
export async function readColumns(
  connection: DuckDBConnection,
  table: string,
  range: { readonly start: number; readonly end: number },
  wanted: ReadonlyMap<string, ColumnReading>,
): Promise<ColumnChunk> {
  const readings = [...wanted, [PLACE, { form: 'number', sql: 'rowid', read: null }] as const]
  const selected = readings.flatMap(([, reading]) =>
    reading.form === 'text'
      ? [
          `string_agg(coalesce(${reading.sql}, ''), '')`,
          `list(CAST(coalesce(length(${reading.sql}), -1) AS DOUBLE))`,
        ]
      : [`list(coalesce(CAST(${reading.sql} AS DOUBLE), CAST('NaN' AS DOUBLE)))`],
  )
  const result = await connection.run(
    `SELECT ${selected.join(', ')} FROM ${table} WHERE rowid >= ${range.start} AND rowid < ${range.end}`,
  )
  const data = await result.fetchChunk()
  if (data === null) throw new Error(`no rows ${range.start} to ${range.end} of ${table}`)
  const columns = new Map<string, readonly Value[]>()
  let at = 0
  for (const [name, reading] of readings) {
    if (reading.form === 'text') {
      const text = data.getColumnVector(at++).getItem(0)
      const texts = splitText(typeof text === 'string' ? text : '', numbersAt(data, at++))
      columns.set(name, reading.read === null ? texts : mapValues(texts, reading.read))
    } else columns.set(name, readNumbers(numbersAt(data, at++), reading.read))
  }
  return inOrder(range.end - range.start, columns)
}

/** The numbers of the one list in a column of a chunk. */
function numbersAt(data: DuckDBDataChunk, column: number): ArrayLike<number> {
  const vector = data.getColumnVector(column)
  if (!(vector instanceof DuckDBListVector)) throw new Error(`column ${column} is no list`)
  const child = vector.childVector as { readonly items?: unknown; toArray(): readonly unknown[] }
  return child.items instanceof Float64Array ? child.items : child.toArray().map(Number)
}

/** Cuts a joined text at lengths that count code points; −1 is null. */
function splitText(text: string, lengths: ArrayLike<number>): (string | null)[] {
  const parts = new Array<string | null>(lengths.length)
  let total = 0
  for (let i = 0; i < lengths.length; i++) total += Math.max(0, lengths[i] ?? 0)
  // Equal only if no code point takes two units of JavaScript's strings.
  const isSimple = total === text.length
  let start = 0
  for (let i = 0; i < lengths.length; i++) {
    const length = lengths[i] ?? -1
    if (length < 0) parts[i] = null
    else {
      const end = isSimple ? start + length : afterCodePoints(text, start, length)
      parts[i] = text.substring(start, end)
      start = end
    }
  }
  return parts
}

function afterCodePoints(text: string, start: number, count: number): number {
  let at = start
  for (let i = 0; i < count; i++) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
  return at
}

function mapValues(texts: readonly (string | null)[], read: (text: string) => Value): readonly Value[] {
  return texts.map(text => (text === null ? null : read(text)))
}

function readNumbers(numbers: ArrayLike<number>, read: ((number: number) => Value) | null): readonly Value[] {
  const values = new Array<Value>(numbers.length)
  for (let i = 0; i < numbers.length; i++) {
    const number = numbers[i] ?? Number.NaN
    values[i] = Number.isNaN(number) ? null : read === null ? number : read(number)
  }
  return values
}

/** An aggregate may see rows out of order, but all aggregates of a query see them in the same one. */
function inOrder(rows: number, columns: ReadonlyMap<string, readonly Value[]>): ColumnChunk {
  const places = (columns.get(PLACE) ?? []).map(Number)
  if (places.length !== rows) throw new Error(`read ${places.length} rows instead of ${rows}`)
  if (places.every((place, i) => i === 0 || place > (places[i - 1] ?? 0)))
    return { rows, column: name => columns.get(name) ?? null }
  const order = places.map((_, i) => i).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0))
  const sorted = new Map([...columns].map(([name, values]) => [name, order.map(i => values[i] ?? null)]))
  return { rows, column: name => sorted.get(name) ?? null }
}
