/**
 * Reads ranges of a table column by column. All texts of a column come as the bytes of one joined text, with
 * their lengths in bytes. All numbers of a column come as one array. To read value by value through DuckDB's
 * binding, or to parse JSON, costs several times as much.
 */
import {
  DuckDBBlobVector,
  type DuckDBConnection,
  type DuckDBDataChunk,
  DuckDBListVector,
} from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { ColumnValues } from '@sluice/contracts/column-values'
import type { Value } from '@sluice/contracts/values'
import { asBytes, cutTexts, startsOfTexts } from '../sql/duckdb-text.ts'

/**
 * How to read a column: SQL for a text or a number, and the function that makes the value from it. NULL
 * becomes null without a call.
 */
export type Reading =
  | { readonly form: 'text'; readonly sql: string; readonly read: ((text: string) => Value) | null }
  | { readonly form: 'number'; readonly sql: string; readonly read: ((number: number) => Value) | null }

/** A reading with the table that has the column. */
export type ColumnReading = Reading & { readonly table: string }

/** Rows of a table by row id, from `start` up to `end`. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** The rows of a range, by column. */
export interface ColumnChunk {
  readonly rows: number
  /** The values of a column. Null if the caller did not ask for it. */
  column(name: string): readonly Value[] | null
}

const PLACE = 'place'

/** A query reads up to this many columns. The aggregates of each take some 100 KB even for few rows. */
const MAX_QUERY_COLUMNS = 100

/**
 * Reads rows `start` to `end` (exclusive) of temporary tables by row id, in that order. Numbers are read as
 * DOUBLE, in which NaN stands for NULL. So columns that contain NaN have to be read as text.
 */
export async function readColumns(
  connection: DuckDBConnection,
  range: Range,
  wanted: ReadonlyMap<string, ColumnReading>,
): Promise<ColumnChunk> {
  const byTable = new Map<string, (readonly [string, ColumnReading])[]>()
  for (const entry of wanted) {
    const { table } = entry[1]
    const entries = byTable.get(table)
    if (entries === undefined) byTable.set(table, [entry])
    else entries.push(entry)
  }
  const chunks: ColumnChunk[] = []
  for (const [table, entries] of byTable)
    for (let at = 0; at < entries.length; at += MAX_QUERY_COLUMNS)
      chunks.push(await readSome(connection, table, range, entries.slice(at, at + MAX_QUERY_COLUMNS)))
  return {
    rows: range.end - range.start,
    column(name) {
      for (const chunk of chunks) {
        const values = chunk.column(name)
        if (values !== null) return values
      }
      return null
    },
  }
}

async function readSome(
  connection: DuckDBConnection,
  table: string,
  range: Range,
  wanted: readonly (readonly [string, Reading])[],
): Promise<ColumnChunk> {
  const rows = range.end - range.start
  const columns = new Map<string, readonly Value[]>()
  const { joined, places } = await readJoined(connection, { name: table, rowid: 'rowid' }, range, wanted)
  for (const [index, [name, reading]] of wanted.entries()) {
    const { bytes, numbers } = joined[index] ?? NOTHING_JOINED
    if (bytes === null)
      columns.set(name, readNumbers(numbers, reading.form === 'number' ? reading.read : null))
    else {
      const texts = cutTexts(bytes, numbers)
      columns.set(
        name,
        reading.form === 'number' || reading.read === null ? texts : mapValues(texts, reading.read),
      )
    }
  }
  return inOrder(rows, columns, places)
}

/** A column as DuckDB gives it: its numbers, or the bytes of its texts with their lengths. */
interface Joined {
  readonly bytes: Uint8Array | null
  readonly numbers: Float64Array
}

const NOTHING_JOINED: Joined = { bytes: null, numbers: new Float64Array() }

/** A table or view, and its column of row ids. */
interface Rows {
  readonly name: string
  readonly rowid: string
}

/** Reads columns, all in the same order of rows. `places` has the row ids in that order. */
async function readJoined(
  connection: DuckDBConnection,
  { name: table, rowid }: Rows,
  range: Range,
  wanted: readonly (readonly [string, Pick<Reading, 'form' | 'sql'>])[],
): Promise<{ readonly joined: readonly Joined[]; readonly places: Float64Array }> {
  const readings = [...wanted, [PLACE, { form: 'number', sql: rowid }] as const]
  const selected = readings.flatMap(([, reading]) =>
    reading.form === 'text'
      ? [
          asBytes(`string_agg(coalesce(${reading.sql}, ''), '')`),
          `list(CAST(coalesce(strlen(${reading.sql}), -1) AS DOUBLE))`,
        ]
      : [`list(coalesce(CAST(${reading.sql} AS DOUBLE), CAST('NaN' AS DOUBLE)))`, `count(${reading.sql})`],
  )
  const result = await connection.run(
    `SELECT ${selected.join(', ')} FROM ${table} WHERE ${rowid} >= ${range.start} AND ${rowid} < ${range.end}`,
  )
  const data = await result.fetchChunk()
  const rows = range.end - range.start
  if (data === null) throw new SluiceError('corrupt', `no rows ${range.start} to ${range.end} of ${table}`)
  let at = 0
  const joined = readings.map(([name, reading]): Joined => {
    const bytes = reading.form === 'text' ? bytesAt(data, at++) : null
    const numbers = numbersAt(data, at++)
    if (numbers.length !== rows)
      throw new SluiceError('corrupt', `column ${name} has ${numbers.length} values instead of ${rows}`)
    if (bytes === null) assertPresent(name, numbers, Number(data.getColumnVector(at++).getItem(0)))
    return { bytes, numbers }
  })
  return { joined, places: joined.pop()?.numbers ?? new Float64Array() }
}

/** Throws `corrupt` unless as many numbers were read as the column has values. NaN stands for NULL. */
function assertPresent(column: string, numbers: Float64Array, values: number): void {
  let present = 0
  for (const number of numbers) if (!Number.isNaN(number)) present += 1
  if (present !== values)
    throw new SluiceError('corrupt', `column ${column} has ${values} values, of which ${present} were read`)
}

/** Reads columns as bytes and numbers, without making values of them. */
export async function readColumnBytes(
  connection: DuckDBConnection,
  from: Rows,
  range: Range,
  wanted: readonly (readonly [string, Pick<Reading, 'form' | 'sql'>])[],
): Promise<readonly ColumnValues[]> {
  const { joined, places } = await readJoined(connection, from, range, wanted)
  const order = isAscending(places) ? null : orderOf(places)
  const inPlace = (numbers: Float64Array): Float64Array =>
    order === null ? numbers : Float64Array.from(order, i => numbers[i] ?? Number.NaN)
  return joined.map(({ bytes, numbers }): ColumnValues => {
    if (bytes === null) return { kind: 'numbers', numbers: inPlace(numbers) }
    return { kind: 'texts', bytes, starts: inPlace(startsOfTexts(bytes, numbers)), lengths: inPlace(numbers) }
  })
}

/** Yields the result of `read` for each range. It reads the next range while the caller has the last one. */
export async function* readAhead<T>(
  ranges: Iterable<Range>,
  read: (range: Range) => Promise<T>,
): AsyncGenerator<T> {
  let ahead: Promise<T> | null = null
  try {
    for (const range of ranges) {
      const before: Promise<T> | null = ahead
      const ready = before === null ? null : { is: await before }
      ahead = read(range)
      // If this range fails while the caller works on the one before, the caller's next step throws the
      // error.
      ahead.catch(() => {})
      if (ready !== null) yield ready.is
    }
    if (ahead === null) return
    const last = await ahead
    ahead = null
    yield last
  } finally {
    // The connection runs one query at a time, so a caller that stops early waits for the one under way.
    await ahead?.catch(() => {})
  }
}

const NO_BYTES = new Uint8Array()

/** Returns the bytes of the one text in a column of a chunk. */
function bytesAt(data: DuckDBDataChunk, column: number): Uint8Array {
  const vector = data.getColumnVector(column)
  if (!(vector instanceof DuckDBBlobVector)) throw new Error(`column ${column} has no bytes`)
  return vector.getItemBytes(0) ?? NO_BYTES
}

/** Returns the numbers of the one list in a column of a chunk. */
function numbersAt(data: DuckDBDataChunk, column: number): Float64Array {
  const vector = data.getColumnVector(column)
  if (!(vector instanceof DuckDBListVector)) throw new Error(`column ${column} is no list`)
  const child = vector.childVector as { readonly items?: unknown; toArray(): readonly unknown[] }
  return child.items instanceof Float64Array ? child.items : Float64Array.from(child.toArray(), Number)
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

/**
 * Sorts the rows. An aggregate may see rows out of order, but all aggregates of a query see the same order.
 */
function inOrder(
  rows: number,
  columns: ReadonlyMap<string, readonly Value[]>,
  places: Float64Array,
): ColumnChunk {
  if (isAscending(places)) return { rows, column: name => columns.get(name) ?? null }
  const order = orderOf(places)
  const sorted = new Map(
    [...columns].map(([name, values]) => [name, Array.from(order, i => values[i] ?? null)]),
  )
  return { rows, column: name => sorted.get(name) ?? null }
}

function isAscending(places: Float64Array): boolean {
  return places.every((place, i) => i === 0 || place > (places[i - 1] ?? 0))
}

function orderOf(places: Float64Array): Uint32Array {
  return Uint32Array.from(places.keys()).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0))
}
