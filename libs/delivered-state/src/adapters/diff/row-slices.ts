/**
 * Slices of row ids whose rows DuckDB may copy at once. DuckDB works on 2,048 rows at a time, whatever their
 * size, and its memory limit does not count all of that memory. With rows of 1 MB, each step of an expression
 * needs 2 GB. So statements that compute with wide columns run for one slice after the other. Narrow rows
 * make a single slice, however many there are. DuckDB still reads 2,048 rows of a table at a time, so its
 * memory must hold that many.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteText } from '../sql/sql-types.ts'
import { rowsOf } from '../sql/rows-of.ts'

/** The limit of the bytes of a slice, or of 2,048 of its rows. A slice has at least one row. */
export const SLICE_BYTES = 16_000_000
/** The number of rows that DuckDB works on at once. It aligns them by row id. */
export const VECTOR_ROWS = 2048

/** Row ids `from` to `to` (exclusive). */
export interface Slice {
  readonly from: number
  readonly to: number
}

/**
 * Rows in slices, and the greatest number of bytes that DuckDB reads at once, which is the size of 2,048
 * rows.
 */
export interface SlicedRows {
  readonly slices: readonly Slice[]
  readonly readBytes: number
}

/** A range of neighbouring rows, with the bytes of all rows together and the bytes of the largest row. */
export interface Slab extends Slice {
  readonly total: number
  readonly most: number
}

/** Cuts slabs, which come in order, into slices. Rows between two slabs do not matter. */
export function cutSlices(slabs: Iterable<Slab>): SlicedRows {
  const slices: Slice[] = []
  const add = (slice: Slice, extendsLast: boolean): void => {
    const last = slices.at(-1)
    if (extendsLast && last !== undefined) slices[slices.length - 1] = { from: last.from, to: slice.to }
    else slices.push(slice)
  }
  let isNarrow = false
  let readBytes = 0
  for (const { from, to, total, most } of slabs) {
    const wasNarrow = isNarrow
    const atOnce = total * Math.min(1, VECTOR_ROWS / (to - from))
    readBytes = Math.max(readBytes, atOnce)
    isNarrow = atOnce <= SLICE_BYTES
    const step = isNarrow ? to - from : Math.max(1, Math.floor(SLICE_BYTES / most))
    for (let at = from; at < to; at += step)
      add({ from: at, to: Math.min(at + step, to) }, isNarrow && wasNarrow)
  }
  return { slices, readBytes }
}

/** Returns SQL that is true for the rows of a slice. */
export function isInSlice(rowid: string, { from, to }: Slice): string {
  return `${rowid} >= ${from} AND ${rowid} < ${to}`
}

/**
 * Returns the slices of a table that has the bytes of each row. There are none if no row meets the condition.
 */
export async function tableSlices(
  connection: DuckDBConnection,
  { table, size, where = 'true' }: { readonly table: string; readonly size: string; readonly where?: string },
): Promise<SlicedRows> {
  const result = await rowsOf(
    connection,
    `
    SELECT rowid // ${VECTOR_ROWS} AS slab, sum(${size})::DOUBLE, max(${size})::DOUBLE FROM ${table} WHERE ${where} GROUP BY 1 ORDER BY 1`,
  )
  return cutSlices(
    result.map(([slab, total, most]) => {
      const from = Number(slab) * VECTOR_ROWS
      return { from, to: from + VECTOR_ROWS, total: Number(total), most: Number(most) }
    }),
  )
}

/**
 * Returns the slices of the attached extract, by the statistics of its file, so that no row is read. A text
 * within a list counts as often as an average row has texts in that list.
 */
export async function extractSlices(connection: DuckDBConnection, keyColumn: string): Promise<SlicedRows> {
  const result = await rowsOf(
    connection,
    `
    SELECT max(ends) FILTER (is_key), coalesce(sum(blocks * block_size) FILTER (has_texts), 0)::DOUBLE,
      coalesce(sum(longest * if(contains(column_path, ','), ceil(n / ${VECTOR_ROWS}), 1)) FILTER (has_texts), 0)::DOUBLE
    FROM (
      SELECT row_group_id, column_path, bool_or(column_name = ${quoteText(keyColumn)} AND segment_type <> 'VALIDITY') AS is_key,
        bool_or(segment_type IN ('VARCHAR', 'BLOB')) AS has_texts, max(start + count) AS ends, sum(count) AS n,
        sum(1 + len(additional_block_ids)) AS blocks,
        max(TRY_CAST(regexp_extract(stats, 'Max String Length: (\\d+)', 1) AS BIGINT)) AS longest
      FROM pragma_storage_info('extract.main.rows') GROUP BY ALL
    ), (SELECT block_size FROM pragma_database_size() WHERE database_name = 'extract')
    GROUP BY row_group_id ORDER BY row_group_id`,
  )
  let at = 0
  const slabs = result.map(([rows, total, most]) => {
    const from = at
    at += Number(rows)
    return { from, to: at, total: Number(total), most: Math.max(1, Number(most)) }
  })
  return cutSlices(slabs)
}

/** Returns SQL that is true for one part of the keys. `key` is SQL for a key. */
export type KeyPart = (key: string) => string

/** Yields so many parts of all keys, each of about the same size. */
export function* keyParts(parts: number): Generator<KeyPart> {
  for (let part = 0; part < parts; part++)
    yield key => (parts === 1 ? 'true' : `hash(${key}) % ${parts} = ${part}`)
}
