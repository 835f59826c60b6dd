/**
 * Cuts the ordered changes into pieces of limited rows and bytes. DuckDB joins a piece to its rows in memory,
 * so the bytes of the rows matter, not only their number.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { SizedRows } from './model-rows.ts'
import { GATHERED } from './order-changes.ts'
import { rowsOf } from '../sql/rows-of.ts'

/**
 * The most bytes of larger values in a piece. But a piece has at least one change, and its row may have up to
 * 8 MB.
 */
export const PIECE_BYTES = 8_000_000
/**
 * Bytes are counted for slabs of this many rows. A slab fits into memory even if all its rows have the
 * largest size.
 */
const SLAB_ROWS = 64
/**
 * Each slab takes a number in memory. So slabs of narrow rows are larger: up to `MAX_SLAB_ROWS` rows, and up
 * to a piece divided by `SLABS_OF_PIECE`.
 */
const MAX_SLAB_ROWS = 4096
const SLABS_OF_PIECE = 8

export interface Piece {
  readonly start: number
  readonly end: number
}

/**
 * Returns the pieces of the ordered changes. `columns` is the number of columns. It measures rows in the
 * extract and the state, but only those that may be large.
 */
export async function cutPieces(
  connection: DuckDBConnection,
  {
    rows,
    pieceRows,
    columns,
    sized,
    gathered,
  }: {
    readonly rows: number
    readonly pieceRows: number
    readonly columns: number
    readonly sized: SizedRows
    readonly gathered: boolean
  },
): Promise<readonly Piece[]> {
  if (rows === 0) return []
  // Each value takes some bytes besides its content.
  const extracted = `(${sized.size} + ${sized.keySize} + ${columns * 16})`
  const stored = 'coalesce(size, 0) + strlen(key)'
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE sizes AS
    SELECT true AS is_new, rid // ${SLAB_ROWS} AS slab, sum(${extracted})::BIGINT AS total, max(${extracted})::BIGINT AS most FROM ${sized.from} GROUP BY 2
    UNION ALL SELECT false, rowid // ${SLAB_ROWS}, sum(${stored})::BIGINT, max(${stored})::BIGINT FROM stored GROUP BY 2`)
  const largest = await rowsOf(connection, 'SELECT is_new, max(most)::DOUBLE FROM sizes GROUP BY 1')
  const most = largest.reduce((sum, [, bytes]) => sum + Number(bytes), 0)
  if (most * Math.min(rows, pieceRows) <= PIECE_BYTES) return evenPieces(rows, pieceRows)
  const slabRows = Math.max(
    SLAB_ROWS,
    Math.min(MAX_SLAB_ROWS, Math.floor(PIECE_BYTES / SLABS_OF_PIECE / most)),
  )
  // Rows from a slab have at most the bytes of its largest row each, and at most the bytes of the slab
  // together. Each gathered row may be from another slab, and tells its own size.
  const ofSlabs = (isNew: boolean, id: 'rid' | 'srid'): string => `
    SELECT place, least(taken * most, total) AS bytes FROM (
      SELECT rowid // ${slabRows} AS place, ${id} // ${SLAB_ROWS} AS slab, count(*) AS taken FROM ordered WHERE ${id} IS NOT NULL GROUP BY ALL
    ) JOIN sizes USING (slab) WHERE is_new = ${isNew}`
  const ofStored = gathered
    ? `SELECT place // ${slabRows}, strlen(key) + coalesce(strlen(content), 0) FROM ${GATHERED}`
    : ofSlabs(false, 'srid')
  const result = await rowsOf(
    connection,
    `SELECT place, sum(bytes)::DOUBLE FROM (${ofSlabs(true, 'rid')} UNION ALL ${ofStored}) GROUP BY place`,
  )
  const slabs = new Map(result.map(([slab, bytes]) => [Number(slab), Number(bytes)]))
  await connection.run('DROP TABLE sizes')
  return [...sizedPieces(slabs, { rows, pieceRows, slabRows })]
}

/** Returns pieces of `pieceRows` rows. */
export function evenPieces(rows: number, pieceRows: number): readonly Piece[] {
  return Array.from({ length: Math.ceil(rows / pieceRows) }, (_, i) => ({
    start: i * pieceRows,
    end: Math.min((i + 1) * pieceRows, rows),
  }))
}

/** Yields pieces by the bytes of each slab of ordered changes. */
export function* sizedPieces(
  slabs: ReadonlyMap<number, number>,
  options: { readonly rows: number; readonly pieceRows: number; readonly slabRows?: number },
): Generator<Piece> {
  const { rows, pieceRows, slabRows = SLAB_ROWS } = options
  for (let start = 0; start < rows;) {
    let end = start
    let bytes = 0
    while (end < rows && end - start < pieceRows) {
      const slab = Math.floor(end / slabRows)
      const perRow = (slabs.get(slab) ?? 0) / slabRows
      const fits = perRow === 0 ? slabRows : Math.floor((PIECE_BYTES - bytes) / perRow)
      const next = Math.min((slab + 1) * slabRows, rows, start + pieceRows, end + fits)
      bytes += (next - end) * perRow
      if (next === end) break
      end = next
    }
    end = Math.max(end, start + 1)
    yield { start, end }
    start = end
  }
}
