/**
 * Reads rows that are new to the state column by column, straight from the extract: as the bytes of their
 * texts and as numbers, without making JavaScript values (contracts/column-values.ts). A piece of the ordered
 * changes is read like this if it only adds new rows, if these rows are neighbours in the extract, and if
 * JavaScript numbers can represent their values. Most pieces of a first run are read like this.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { ColumnRows } from '@sluice/contracts/column-values'
import { SluiceError } from '@sluice/contracts/errors'
import type { Column } from '@sluice/contracts/values'
import { ABSENT, ADDED } from '../state/shapes.ts'
import { canonicalText } from '../sql/sql-types.ts'
import { type Range, readAhead, readColumnBytes, type Reading } from './chunk-columns.ts'
import { EXTRACTED } from './find-changes.ts'
import type { Piece } from './cut-pieces.ts'
import { rowsOf } from '../sql/rows-of.ts'

/** Up to this many rows are read at once. They are rows of one piece, whose bytes are limited. */
const CHUNK_ROWS = 8192
/**
 * The rows of this many pieces are copied from the extract at once. Each query on the extract looks at all of
 * its row groups, for each column, which takes 0.1 s with 20 million rows.
 */
const COPIED_PIECES = 8
/** The table of copied rows, with the columns of the extract's view. */
export const COPIED_ROWS = 'copied_rows'
const SAFE = Number.MAX_SAFE_INTEGER
/** Decimals of up to this many digits, as DOUBLE times a power of ten, round to the right whole number. */
const EXACT_DIGITS = 15

/** The reading of a column, and SQL that is true if the read numbers are exactly its values. */
interface ByteReading extends Pick<Reading, 'form' | 'sql'> {
  readonly holds: string | null
}

/** The readings of a model's key, and of its columns in their order. */
export interface NewRowReadings {
  readonly key: string
  readonly columns: readonly ByteReading[]
}

/** Returns null if a column has values that cannot be read as bytes or numbers. */
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

/** Reads new rows, piece after piece. */
export class NewRowsReader {
  readonly #connection: DuckDBConnection
  readonly #readings: NewRowReadings
  /** The table or view that rows are read from. */
  readonly #from: typeof EXTRACTED | typeof COPIED_ROWS
  /** The rows of the extract that are copied. */
  #copied: Range = { start: 0, end: 0 }

  /** With `isSmall`, a query may look at the whole extract. */
  constructor(
    connection: DuckDBConnection,
    { readings, isSmall }: { readonly readings: NewRowReadings; readonly isSmall: boolean },
  ) {
    this.#connection = connection
    this.#readings = readings
    this.#from = isSmall ? EXTRACTED : COPIED_ROWS
  }

  /**
   * Returns the range of the extract's rows that a piece adds; null if it has other changes or inexact
   * values.
   */
  async rowsOf({ start, end }: Piece): Promise<Range | null> {
    const isNew = `section = ${ADDED} AND kind = ${ABSENT} AND partition IS NULL AND NOT is_retry`
    const result = await rowsOf(
      this.#connection,
      `SELECT coalesce(bool_and(${isNew}), false), min(rid), max(rid) + 1, count(rid) FROM ordered WHERE rowid >= ${start} AND rowid < ${end}`,
    )
    const [areNew, ...places] = result[0] ?? []
    const [from = 0, to = 0, rows = 0] = places.map(Number)
    if (areNew !== true || rows !== end - start || to - from !== rows) return null
    if (this.#from === COPIED_ROWS) await this.#copy({ start: from, end: to })
    const holds = this.#readings.columns.flatMap(reading => reading.holds ?? [])
    if (holds.length === 0) return { start: from, end: to }
    const checked = await rowsOf(
      this.#connection,
      `SELECT ${holds.join(' AND ')} FROM ${this.#from} WHERE rid >= ${from} AND rid < ${to}`,
    )
    return checked[0]?.[0] === true ? { start: from, end: to } : null
  }

  async #copy({ start, end }: Range): Promise<void> {
    if (start >= this.#copied.start && end <= this.#copied.end) return
    this.#copied = { start, end: start + (end - start) * COPIED_PIECES }
    await this.#connection.run(`
      CREATE OR REPLACE TEMP TABLE ${COPIED_ROWS} AS
      SELECT * FROM ${EXTRACTED} WHERE rid >= ${start} AND rid < ${this.#copied.end}`)
  }

  /** Reads the rows that `rowsOf` returned last. */
  async *read({ start, end }: Range): AsyncGenerator<ColumnRows> {
    const { key, columns } = this.#readings
    const wanted = [{ form: 'text', sql: key } as const, ...columns].map(
      (reading, index) => [`${index}`, reading] as const,
    )
    yield* readAhead(rangesOf(start, end), async (range): Promise<ColumnRows> => {
      const from = { name: this.#from, rowid: 'rid' }
      const [keys, ...values] = await readColumnBytes(this.#connection, from, range, wanted)
      if (keys?.kind !== 'texts') throw new SluiceError('internal', 'keys were read that are no texts')
      return { rows: range.end - range.start, keys, columns: values }
    })
  }
}

function* rangesOf(start: number, end: number): Generator<Range> {
  for (let from = start; from < end; from += CHUNK_ROWS)
    yield { start: from, end: Math.min(from + CHUNK_ROWS, end) }
}
