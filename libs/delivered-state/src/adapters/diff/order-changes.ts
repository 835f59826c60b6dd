/**
 * Orders the found changes as they are written, and adds their rows. It sorts only keys and row ids as a
 * whole. It joins rows and states to them piece by piece, so that a first run of millions of rows neither
 * copies nor sorts all of them.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Column } from '@sluice/contracts/values'
import { EXTRACTED } from './find-changes.ts'
import { keyToken } from './model-rows.ts'

/** The table of the current piece, with everything that its changes carry except the model's values. */
export const PIECE = 'piece'

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
 * order of the model's query, and those of gone rows in the order of the state. Neighbours in this order are
 * mostly neighbours in extract and state, so a piece reads only a part of these.
 */
export async function orderChanges(connection: DuckDBConnection): Promise<void> {
  await connection.run(
    'CREATE OR REPLACE TEMP TABLE ordered AS SELECT * FROM found ORDER BY section, rid NULLS LAST, srid',
  )
}

/** Makes the tables of a stretch of the ordered changes; `key` is the key of an extracted row. */
export async function takePiece(
  connection: DuckDBConnection,
  { start, end }: { readonly start: number; readonly end: number },
  of: {
    readonly tables: readonly PieceTable[]
    readonly place: (column: Column) => string
    readonly key: string
    readonly retried: boolean
    readonly captured: boolean
  },
): Promise<void> {
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE places AS
    SELECT rowid AS place, * FROM ordered WHERE rowid >= ${start} AND rowid < ${end}`)
  const reader = await connection.runAndReadAll(
    'SELECT coalesce(min(rid), 0), coalesce(max(rid), -1), coalesce(min(srid), 0), coalesce(max(srid), -1) FROM places',
  )
  const [firstRow = 0, lastRow = -1, firstState = 0, lastState = -1] = (reader.getRows()[0] ?? []).map(Number)
  const extracted = `(FROM ${EXTRACTED} WHERE rid >= ${firstRow} AND rid <= ${lastRow})`
  const beside = (table: string, alias: string): string =>
    `LEFT JOIN (SELECT * REPLACE (${keyToken('key')} AS key) FROM ${table}) ${alias} ON ${alias}.key = p.key AND ${alias}.partition = p.partition`
  // Join the state first, while there are few columns: each join keeps a copy of all columns in memory.
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE known AS
    SELECT p.place, p.rid, p.section, s.key AS stored_key, p.partition, p.kind, p.muted, p.settled_kind, p.takes, p.has_entry,
      s.content AS before, ${of.retried ? 'if(p.is_retry, r.entry, NULL)' : 'NULL::VARCHAR'} AS retried,
      ${of.captured ? 'c.content' : 'NULL::VARCHAR'} AS captured
    FROM places p
      LEFT JOIN (SELECT rowid AS srid, key, content FROM state
        WHERE rowid >= ${firstState} AND rowid <= ${lastState}) s ON s.srid = p.srid
      ${of.retried ? beside('retry', 'r') : ''} ${of.captured ? beside('captured', 'c') : ''}`)
  const placesOf = (columns: readonly Column[]): string => columns.map(of.place).join(', ')
  const own = of.tables.find(({ name }) => name === PIECE)?.columns ?? []
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${PIECE} AS
    SELECT coalesce(k.stored_key, ${of.key}) AS key, k.* EXCLUDE (place, rid, stored_key) ${own.length === 0 ? '' : `, ${placesOf(own)}`}
    FROM known k LEFT JOIN ${extracted} e ON e.rid = k.rid
    ORDER BY k.place`)
  for (const { name, columns } of of.tables)
    if (name !== PIECE)
      await connection.run(`
        CREATE OR REPLACE TEMP TABLE ${name} AS
        SELECT ${placesOf(columns)} FROM places k LEFT JOIN ${extracted} e ON e.rid = k.rid ORDER BY k.place`)
}
