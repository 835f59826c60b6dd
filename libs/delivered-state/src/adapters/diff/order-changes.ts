/**
 * Orders the found changes as they are written, and adds their rows. It sorts only keys and row ids as a
 * whole. It joins rows and states to them piece by piece, so that a first run of millions of rows neither
 * copies nor sorts all of them.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Column } from '@sluice/contracts/values'
import { EXTRACTED } from './find-changes.ts'
import { keyToken } from './model-rows.ts'
import { isInSlice, type Slice } from './row-slices.ts'
import { rowsOf } from '../sql/rows-of.ts'

/** The table of the current piece, with everything that its changes carry except the model's values. */
export const PIECE = 'piece'

/** The rows of the current piece from one table, if they had to be collected. */
const COLLECTED = 'collected'
/** A slice is read in this many parts, since the rows of the piece are in memory, too. */
const SLICE_PARTS = 4
/** The table with the stored rows of all changes. It exists only if these rows are narrow and scattered. */
export const GATHERED = 'gathered'
/** The same rows before they are sorted. */
export const LOOSE = 'loose'
/** Stored rows are looked for among this many row ids at a time, so that a join has few in memory. */
const JOINED_IDS = 1_000_000
/** About so many bytes of rows are sorted at a time: DuckDB cannot sort any number within its memory. */
const SORTED_BYTES = 256_000_000
/** Bytes that each sorted row takes besides its content. */
const ROW_BYTES = 48
/** To find out if stored rows are scattered, their row ids are compared over this many changes. */
const SPAN_ROWS = 65_536
/** The pieces of a diff may read the state up to this many times in all. */
const MAX_READINGS = 4
/** Rows in up to this many ranges of row ids are read range by range. */
const MAX_RANGES = 32

/** With more columns than this, a query works on too many bytes at once. */
const TABLE_COLUMNS = 100

/** A table with some columns of the model's rows, which has the rows of the piece in the same order. */
export interface PieceTable {
  readonly name: string
  readonly columns: readonly Column[]
}

/** The tables with the model's columns. If there are few columns, `piece` itself has them. */
export function pieceTables(columns: readonly Column[]): readonly PieceTable[] {
  if (columns.length <= TABLE_COLUMNS) return [{ name: PIECE, columns }]
  return Array.from({ length: Math.ceil(columns.length / TABLE_COLUMNS) }, (_, i) => ({
    name: `${PIECE}_${i}`,
    columns: columns.slice(i * TABLE_COLUMNS, (i + 1) * TABLE_COLUMNS),
  }))
}

/**
 * Makes the table `ordered`: the found changes in the order of writing (R17). Changes of one op are in the
 * order of the model's query, and removals in the order of the state. Neighbours in this order are mostly
 * neighbours in extract and state, so a piece reads only a part of these.
 *
 * The table replaces `found`. DuckDB writes columns of one byte a row to temporary files last. So for 20
 * million rows, these columns of both tables would fill its memory.
 */
export async function orderChanges(connection: DuckDBConnection): Promise<void> {
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ordered AS
    SELECT * EXCLUDE (newly_muted, adopted_shape) FROM found ORDER BY section, rid NULLS LAST, srid;
    DROP TABLE found`)
}

/**
 * Gathers the stored rows of all changes, in the order of the changes, if the rows are narrow and scattered.
 * Otherwise each piece would read most of the state. Resolves with true if the rows are gathered.
 */
export async function gatherStored(connection: DuckDBConnection, isWide: boolean): Promise<boolean> {
  if (isWide) return false
  const result = await rowsOf(
    connection,
    `
    SELECT (SELECT coalesce(sum(span), 0)::DOUBLE FROM (
      SELECT max(srid) - min(srid) AS span FROM ordered GROUP BY rowid // ${SPAN_ROWS})), (SELECT count(*) FROM ordered), count(*),
      coalesce(max(rowid), -1) + 1, coalesce(avg(size), 0)::DOUBLE FROM stored`,
  )
  const [spans = 0, changes = 0, stored = 0, ids = 0, bytes = 0] = (result[0] ?? []).map(Number)
  if (spans <= MAX_READINGS * stored) return false
  await connection.run(
    `CREATE OR REPLACE TEMP TABLE ${LOOSE} AS SELECT 0::BIGINT AS place, key, content FROM stored LIMIT 0;
    CREATE OR REPLACE TEMP TABLE ${GATHERED} AS FROM ${LOOSE}`,
  )
  for (const range of rangesUpTo(ids, JOINED_IDS))
    await connection.run(`
      INSERT INTO ${LOOSE} SELECT o.place, s.key, s.content
      FROM (SELECT rowid AS place, srid FROM ordered WHERE ${isInSlice('srid', range)}) o
        JOIN (SELECT rowid AS srid, key, content FROM stored WHERE ${isInSlice('rowid', range)}) s ON s.srid = o.srid`)
  for (const range of rangesUpTo(changes, Math.ceil(SORTED_BYTES / (bytes + ROW_BYTES))))
    await connection.run(
      `INSERT INTO ${GATHERED} FROM ${LOOSE} WHERE ${isInSlice('place', range)} ORDER BY place`,
    )
  await connection.run(`DROP TABLE ${LOOSE}`)
  return true
}

function* rangesUpTo(end: number, step: number): Generator<Slice> {
  for (let from = 0; from < end; from += step) yield { from, to: Math.min(from + step, end) }
}

/** The places in which the rows of a piece are found. */
export interface PieceSources {
  readonly tables: readonly PieceTable[]
  readonly place: (column: Column) => string
  /** SQL for the key of an extracted row. */
  readonly key: string
  readonly retried: boolean
  readonly captured: boolean
  /** The slices of the extract and of the state. Null if their rows are narrow. */
  readonly slices: { readonly extract: readonly Slice[] | null; readonly state: readonly Slice[] | null }
  /** True if the stored rows are gathered. */
  readonly gathered: boolean
  /** True if extract and state have a few rows of few bytes. */
  readonly isSmall: boolean
}

/** Makes the tables of a piece of the ordered changes. */
export async function takePiece(
  connection: DuckDBConnection,
  { start, end }: { readonly start: number; readonly end: number },
  sources: PieceSources,
): Promise<void> {
  const { retried, captured, isSmall } = sources
  const places = `SELECT rowid AS place, * FROM ordered WHERE rowid >= ${start} AND rowid < ${end}`
  if (!isSmall) await connection.run(`CREATE OR REPLACE TEMP TABLE places AS ${places}`)
  const state: Sought = { from: 'stored', rowid: 'rowid', id: 'srid', slices: sources.slices.state }
  const stored = sources.gathered
    ? `(SELECT * FROM ${GATHERED} WHERE place >= ${start} AND place < ${end}) s ON s.place = p.place`
    : `${isSmall ? allRows(state, ['key', 'content']) : await rowsOfPiece(connection, state, ['key', 'content'])} s ON s.srid = p.srid`
  const beside = (table: string, alias: string): string =>
    `LEFT JOIN (SELECT * REPLACE (${keyToken('key')} AS key) FROM ${table}) ${alias} ON ${alias}.key = p.key AND ${alias}.partition = p.partition`
  // The state is joined first, while there are few columns: each join keeps a copy of all columns in memory.
  const known = `
    SELECT p.place, p.rid, p.section, s.key AS stored_key, p.partition, p.kind, p.muted, p.settled_kind, p.takes, p.has_entry,
      s.content AS before, ${retried ? 'if(p.is_retry, r.entry, NULL)' : 'NULL::VARCHAR'} AS retried,
      ${captured ? 'c.content' : 'NULL::VARCHAR'} AS captured
    FROM places p LEFT JOIN ${stored}
      ${retried ? beside('retry', 'r') : ''} ${captured ? beside('captured', 'c') : ''}`
  if (!isSmall) await connection.run(`CREATE OR REPLACE TEMP TABLE known AS ${known}`)
  const model: Sought = { from: EXTRACTED, rowid: 'rid', id: 'rid', slices: sources.slices.extract }
  for (const { name, columns } of sources.tables) {
    const values = columns.map(sources.place)
    if (name !== PIECE) await makeValues(connection, { name, values, model })
  }
  const own = (sources.tables.find(({ name }) => name === PIECE)?.columns ?? []).map(sources.place)
  const wanted = [...own, `${sources.key} AS extracted_key`]
  const extracted = isSmall ? allRows(model, wanted) : await rowsOfPiece(connection, model, wanted)
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${PIECE} AS ${isSmall ? `WITH places AS (${places}), known AS (${known})` : ''}
    SELECT coalesce(k.stored_key, e.extracted_key) AS key, k.* EXCLUDE (place, rid, stored_key) ${own.map(value => `, e.${value}`).join('')}
    FROM known k LEFT JOIN ${extracted} e ON e.rid = k.rid
    ORDER BY k.place`)
  if (!isSmall) await connection.run(`DROP TABLE IF EXISTS ${COLLECTED}`)
}

async function makeValues(
  connection: DuckDBConnection,
  {
    name,
    values,
    model,
  }: { readonly name: string; readonly values: readonly string[]; readonly model: Sought },
): Promise<void> {
  const extracted = await rowsOfPiece(connection, model, values)
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${name} AS
    SELECT ${values.map(value => `e.${value}`).join(', ')} FROM places k LEFT JOIN ${extracted} e ON e.rid = k.rid ORDER BY k.place`)
}

/** The table or view that has rows of the changes, and the column of `places` with their row ids. */
interface Sought {
  readonly from: string
  readonly rowid: string
  readonly id: 'rid' | 'srid'
  readonly slices: readonly Slice[] | null
}

/**
 * Returns SQL for the rows of the piece, with their ids. A join has all rows between the first and the last
 * one in memory. If these are wide, and the piece has only some of them, the rows of the piece are collected
 * before. From a range without a gap, DuckDB reads these rows alone. Scattered rows are collected slice by
 * slice, and DuckDB reads 2,048 rows for each slice.
 */
async function rowsOfPiece(
  connection: DuckDBConnection,
  { from, rowid, id, slices }: Sought,
  columns: readonly string[],
): Promise<string> {
  const selected = selectedOf({ rowid, id }, columns)
  const result = await rowsOf(
    connection,
    `SELECT coalesce(min(${id}), 0), coalesce(max(${id}) + 1, 0), count(${id}) FROM places`,
  )
  const [first = 0, end = 0, rows = 0] = (result[0] ?? []).map(Number)
  const all = { from: first, to: end }
  if (slices === null || rows === end - first)
    return `(SELECT ${selected} FROM ${from} WHERE ${isInSlice(rowid, all)})`
  await connection.run(`CREATE OR REPLACE TEMP TABLE ${COLLECTED} AS SELECT ${selected} FROM ${from} LIMIT 0`)
  const collect = (where: string): Promise<unknown> =>
    connection.run(`INSERT INTO ${COLLECTED} SELECT ${selected} FROM ${from} WHERE ${where}`)
  const ranges = await rangesOf(connection, id)
  if (ranges.length <= MAX_RANGES) for (const range of ranges) await collect(isInSlice(rowid, range))
  else
    for (const part of partsWithin(all, slices))
      await collect(
        `${isInSlice(rowid, part)} AND ${rowid} IN (SELECT ${id} FROM places WHERE ${isInSlice(id, part)})`,
      )
  return COLLECTED
}

/** Returns SQL for all rows, with their ids. A join of few rows needs no ranges. */
function allRows(sought: Sought, columns: readonly string[]): string {
  return `(SELECT ${selectedOf(sought, columns)} FROM ${sought.from})`
}

function selectedOf({ rowid, id }: Pick<Sought, 'rowid' | 'id'>, columns: readonly string[]): string {
  return [rowid === id ? id : `${rowid} AS ${id}`, ...columns].join(', ')
}

/** Returns the row ids of the piece as ranges without gaps, in order, up to one more than the limit. */
async function rangesOf(connection: DuckDBConnection, id: Sought['id']): Promise<readonly Slice[]> {
  const result = await rowsOf(
    connection,
    `
    SELECT min(${id}), max(${id}) + 1 FROM (
      SELECT ${id}, ${id} - row_number() OVER (ORDER BY ${id}) AS stretch FROM places WHERE ${id} IS NOT NULL)
    GROUP BY stretch ORDER BY 1 LIMIT ${MAX_RANGES + 1}`,
  )
  return result.map(([from, to]) => ({ from: Number(from), to: Number(to) }))
}

/** Yields the slices within a range, in parts that leave memory for the rows that the piece already has. */
function* partsWithin(range: Slice, slices: readonly Slice[]): Generator<Slice> {
  for (const { from, to } of slices) {
    const step = Math.max(1, Math.ceil((to - from) / SLICE_PARTS))
    for (let at = Math.max(from, range.from); at < Math.min(to, range.to); at += step)
      yield { from: at, to: Math.min(at + step, to, range.to) }
  }
}
