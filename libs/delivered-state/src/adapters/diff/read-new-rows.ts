/**
 * Reads rows that are new to the state column by column, straight from the extract: as the bytes of their
 * texts and as numbers, of which no JavaScript value is made (contracts/column-values.ts). A stretch of the
 * ordered changes is read so if all of its changes are such rows, neighbours in the extract, and if no column
 * has a value that a number of JavaScript does not hold. A first run is made of such stretches.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { ColumnRows } from '@sluice/contracts/column-values'
import { SluiceError } from '@sluice/contracts/errors'
import type { Column } from '@sluice/contracts/values'
import { ABSENT, ADDED } from '../state/codes.ts'
import { canonicalText } from '../sql/sql-types.ts'
import { type Range, readAhead, readColumnBytes, type Reading } from './chunk-columns.ts'
import { EXTRACTED } from './find-changes.ts'

/** The most rows that are read at once. They are rows of one piece, whose bytes are limited. */
const CHUNK_ROWS = 8192
const SAFE = Number.MAX_SAFE_INTEGER
/** Up to so many digits, DOUBLE times a power of ten is nearer to the whole number than to any other. */
const EXACT_DIGITS = 15

/** How a column is read, and SQL that is true if the read numbers are its values. */
interface ByteReading extends Pick<Reading, 'form' | 'sql'> {
  readonly holds: string | null
}

/** Readings of a model's columns, in their order, and of the key; null if some column has none. */
export interface NewRowReadings {
  readonly key: string
  readonly columns: readonly ByteReading[]
}

export function newRowReadings(
  columns: readonly Column[],
  { place, key }: { readonly place: (column: Column) => string; readonly key: string },
): NewRowReadings | null {
  const readings = columns.map(column => byteReading(column, place(column)))
  return readings.includes(null) ? null : { key, columns: readings.filter(reading => reading !== null) }
}

function byteReading({ type }: Column, x: string): ByteReading | null {
  const number = (sql: string, holds: string | null = null): ByteReading => ({ form: 'number', sql, holds })
  const isSafe = (sql: string): string => `coalesce(min(${sql}) >= -${SAFE} AND max(${sql}) <= ${SAFE}, true)`
  switch (type.kind) {
    case 'boolean':
      return number(`CAST(${x} AS UTINYINT)`)
    case 'integer':
      return number(x)
    case 'long':
      return number(x, isSafe(x))
    case 'float':
    case 'double':
      return number(x, `coalesce(bool_and(NOT isnan(${x})), true)`)
    case 'decimal': {
      const { precision, scale } = type
      return precision <= EXACT_DIGITS ? number(`round(CAST(${x} AS DOUBLE) * 1e${scale})`) : null
    }
    case 'date':
      return number(`(${x} - DATE '1970-01-01')`)
    case 'time':
      return number(`epoch_us(${x})`)
    case 'timestamp': {
      const micros = `epoch_us(${x})`
      return number(micros, `coalesce(bool_and(isfinite(${x})), true) AND ${isSafe(micros)}`)
    }
    case 'text':
    case 'json':
    case 'uuid':
    case 'interval':
      return { form: 'text', sql: canonicalText(type, x), holds: null }
    case 'bytes':
    case 'list':
    case 'struct':
      return null
    default:
      return type satisfies never
  }
}

/**
 * The rows of the extract that the changes of a piece are; null if it has others, or they cannot be read so.
 */
export async function newRowsOf(
  connection: DuckDBConnection,
  { start, end }: Range,
  readings: NewRowReadings,
): Promise<Range | null> {
  const isNew = `section = ${ADDED} AND kind = ${ABSENT} AND partition IS NULL AND NOT is_retry`
  const reader = await connection.runAndReadAll(
    `SELECT coalesce(bool_and(${isNew}), false), min(rid), max(rid) + 1, count(rid) FROM ordered WHERE rowid >= ${start} AND rowid < ${end}`,
  )
  const [areNew, ...places] = reader.getRows()[0] ?? []
  const [from = 0, to = 0, rows = 0] = places.map(Number)
  if (areNew !== true || rows !== end - start || to - from !== rows) return null
  const holds = readings.columns.flatMap(reading => reading.holds ?? [])
  if (holds.length === 0) return { start: from, end: to }
  const checked = await connection.runAndReadAll(
    `SELECT ${holds.join(' AND ')} FROM ${EXTRACTED} WHERE rid >= ${from} AND rid < ${to}`,
  )
  return checked.getRows()[0]?.[0] === true ? { start: from, end: to } : null
}

/** Reads rows of the extract, which have to be such as `newRowsOf` gives. */
export async function* readNewRows(
  connection: DuckDBConnection,
  { start, end }: Range,
  { key, columns }: NewRowReadings,
): AsyncGenerator<ColumnRows> {
  const wanted = [{ form: 'text', sql: key } as const, ...columns].map(
    (reading, index) => [`${index}`, reading] as const,
  )
  yield* readAhead(rangesOf(start, end), async (range): Promise<ColumnRows> => {
    const [keys, ...values] = await readColumnBytes(
      connection,
      { name: EXTRACTED, rowid: 'rid' },
      range,
      wanted,
    )
    if (keys?.kind !== 'texts') throw new SluiceError('internal', 'keys were read that are no texts')
    return { rows: range.end - range.start, keys, columns: values }
  })
}

function* rangesOf(start: number, end: number): Generator<Range> {
  for (let from = start; from < end; from += CHUNK_ROWS)
    yield { start: from, end: Math.min(from + CHUNK_ROWS, end) }
}
