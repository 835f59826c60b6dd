/**
 * The order in which found changes are written, and what they carry. Only keys and row ids are put in order
 * as a whole; rows and states are joined to them piece by piece, so that a first run of millions of rows
 * neither copies nor sorts all that it sends.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { EXTRACTED } from './find-changes.ts'

/** The table of the current piece, with all that its changes carry. */
export const PIECE = 'piece'

/**
 * Makes the table `ordered`: the found changes in the order of writing (R17), within an op in that of the
 * model's query; those of rows that are gone in the order in which the state knows them. Neighbours in this
 * order mostly are neighbours in extract and state, so that a piece looks at a part of these only.
 */
export async function orderChanges(connection: DuckDBConnection): Promise<void> {
  await connection.run(
    'CREATE OR REPLACE TEMP TABLE ordered AS SELECT * FROM found ORDER BY section, rid NULLS LAST, srid',
  )
}

/** Makes the table `piece` of a stretch of the ordered changes. */
export async function takePiece(
  connection: DuckDBConnection,
  { start, end }: { readonly start: number; readonly end: number },
): Promise<void> {
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE places AS
    SELECT rowid AS place, * FROM ordered WHERE rowid >= ${start} AND rowid < ${end}`)
  const reader = await connection.runAndReadAll(
    'SELECT coalesce(min(rid), 0), coalesce(max(rid), -1), coalesce(min(srid), 0), coalesce(max(srid), -1) FROM places',
  )
  const [firstRow, lastRow, firstState, lastState] = reader.getRows()[0] ?? []
  // The state's part first: of many columns, each join holds a copy in memory.
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE known AS
    SELECT p.place, p.rid, p.section, p.key, p.partition, p.kind, p.muted, p.settled_kind, p.takes, p.has_entry,
      s.content AS before, if(p.is_retry, r.entry, NULL) AS retried, c.content AS captured
    FROM places p
      LEFT JOIN (SELECT rowid AS srid, content FROM state
        WHERE rowid >= ${String(firstState)} AND rowid <= ${String(lastState)}) s ON s.srid = p.srid
      LEFT JOIN retry r ON r.key = p.key AND r.partition = p.partition
      LEFT JOIN captured c ON c.key = p.key AND c.partition = p.partition`)
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${PIECE} AS
    SELECT k.* EXCLUDE (place, rid), e.* EXCLUDE (rid)
    FROM known k LEFT JOIN (FROM ${EXTRACTED} WHERE rid >= ${String(firstRow)} AND rid <= ${String(lastRow)}) e ON e.rid = k.rid
    ORDER BY k.place`)
}
