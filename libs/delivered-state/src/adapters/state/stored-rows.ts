/**
 * Removes rows from the tables of a state file. If DuckDB deletes a row, it keeps 256 KB in memory for the
 * 2,048 rows around it, whatever its limit is. So rows of the state are only appended. A row that no longer
 * counts is named in `dead`, and the view `state` skips it. Once many are dead, the table is written again
 * without them (docs/decisions/state-appended.md).
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { isInSlice, keyParts, type Slice, tableSlices, VECTOR_ROWS } from '../diff/row-slices.ts'
import type { EndedKey } from '../../port.ts'
import { asBytes, textOfBytes } from '../sql/duckdb-text.ts'
import { ABSENT, REMOVED, SETTLED } from './shapes.ts'
import { rowsOf } from '../sql/rows-of.ts'

const LEAVES_NOTHING = `(op = ${REMOVED} OR (op = ${SETTLED} AND settled_kind = ${ABSENT}))`

/**
 * Up to this many keys are compared at once. More may not fit into memory, as no temporary files are written.
 */
const SLICE_ROWS = 250_000

/**
 * Notes the keys that are gone after the staged changes, and forgets those that came back or have their
 * tombstone. To be called once these changes are merged into the state.
 *
 * A key is gone from a partition of `changes` if its last change there is a removal that was delivered or
 * settled, and the state knows nothing of it in that partition any more. A rebuild does not need its
 * remaining records.
 */
export async function noteGoneKeys(connection: DuckDBConnection): Promise<void> {
  const result = await rowsOf(
    connection,
    `
    SELECT (SELECT count(*) FROM (FROM gone LIMIT 1)), (SELECT count(*) FROM stage_changes),
      (SELECT count(*) FROM stage_ended), (SELECT count(*) FROM stage_changes WHERE ${LEAVES_NOTHING})`,
  )
  const [known = 0, changes = 0, ended = 0, leaving = 0] = (result[0] ?? []).map(Number)
  if (known > 0 && changes + ended > 0)
    await removeKeys(
      connection,
      'gone',
      'SELECT partition, key FROM stage_changes UNION ALL SELECT partition, key FROM stage_ended',
    )
  await inSlices(
    connection,
    leaving,
    slice => `
    INSERT INTO gone SELECT partition, key, max(since) FROM stage_changes s
    WHERE ${slice} AND ${LEAVES_NOTHING} AND NOT EXISTS (FROM (
      FROM state WHERE key IN (SELECT key FROM stage_changes WHERE ${slice} AND ${LEAVES_NOTHING})
    ) k WHERE k.key = s.key AND k.partition = s.partition)
    GROUP BY partition, key`,
  )
}

/** Runs SQL once for each slice of the keys. `sqlOf` gets the condition on `key` that selects the slice. */
async function inSlices(
  connection: DuckDBConnection,
  rows: number,
  sqlOf: (slice: string) => string,
): Promise<void> {
  for (const part of keyParts(Math.ceil(rows / SLICE_ROWS))) await connection.run(sqlOf(part('key')))
}

/** Some keys that have been gone for long, and the row id of the last of them. */
interface GoneKeys {
  readonly keys: readonly EndedKey[]
  readonly last: number
}

/**
 * Returns up to `limit` keys that are gone since a time earlier than `before` (ms since 1970), and whose row
 * ids are greater than `behind`. Rows come in the order of their ids, so that DuckDB stops once it has
 * enough.
 */
export async function goneKeys(
  connection: DuckDBConnection,
  { before, behind, limit }: { readonly before: number; readonly behind: number; readonly limit: number },
): Promise<GoneKeys> {
  const rows = await rowsOf(
    connection,
    `SELECT partition, ${asBytes('key')}, rowid FROM gone WHERE since < ${before} AND rowid > ${behind} LIMIT ${limit}`,
  )
  return {
    keys: rows.map(([partition, key]) => ({ partition: Number(partition), key: textOfBytes(key) ?? '' })),
    last: Number(rows.at(-1)?.[2] ?? behind),
  }
}

/** Returns SQL that forgets the keys that `goneKeys` returned, up to the row id `last`. */
export function forgetGone({ before, last }: { readonly before: number; readonly last: number }): string {
  return `DELETE FROM gone WHERE since < ${before} AND rowid <= ${last}`
}

/**
 * The state is written again if more than this share of its rows is dead, since the file is too large then.
 */
const MAX_DEAD_SHARE = 0.25
/**
 * The state is also written again if more rows than this are dead, since each reading of the state has the
 * dead rows in memory.
 */
const MAX_DEAD = 4_000_000
/** One statement rewrites at most this many rows, since it keeps the dead rows among them in memory. */
const REWRITTEN_ROWS = 2_000_000
/** In a table of up to this many rows, rows are deleted in place. */
export const MAX_ROWS_TO_DELETE = 64 * VECTOR_ROWS

/** A state of this many rows and more gets larger row groups. */
const MANY_ROWS = 500_000
/** The limits of a row group, which DuckDB has in memory while it writes it. The bytes are approximate. */
const MAX_GROUP_ROWS = 16 * VECTOR_ROWS
const GROUP_BYTES = 32_000_000

export const STATE_COLUMNS =
  'key VARCHAR, kind UTINYINT, hash UHUGEINT, shape USMALLINT, content VARCHAR, partition USMALLINT, run BIGINT, seq BIGINT, muted VARCHAR, size UINTEGER'

export const ENTRY_COLUMNS =
  'partition USMALLINT, key VARCHAR, run BIGINT, seq BIGINT, outcome UTINYINT, runs BIGINT, status USMALLINT, reason VARCHAR, entry VARCHAR'

/**
 * Returns the number of rows of a row group. DuckDB keeps some KB for each column of a row group, which its
 * limit does not count. With the smallest groups, a state of 20 million rows would take 0.5 GB.
 */
export function groupRowsFor(rows: number, neighbourBytes: number): number {
  if (rows < MANY_ROWS) return VECTOR_ROWS
  const vectors = Math.floor(GROUP_BYTES / Math.max(1, neighbourBytes))
  return Math.min(MAX_GROUP_ROWS, Math.max(1, vectors) * VECTOR_ROWS)
}

/** Takes rows out of the state. `rows` is SQL for their ids (`srid`), of which none is dead. */
export async function hideRows(connection: DuckDBConnection, rows: string): Promise<void> {
  await connection.run(`INSERT INTO dead ${rows}`)
}

/**
 * Writes the state again, in the same order, if too many of its rows are dead. To be called before rows are
 * appended, since it changes the ids of rows within the transaction. Resolves with true if it wrote.
 */
export async function dropDeadRows(connection: DuckDBConnection): Promise<boolean> {
  const result = await rowsOf(connection, 'SELECT (SELECT count(*) FROM dead), (SELECT count(*) FROM stored)')
  const [dead = 0, stored = 0] = (result[0] ?? []).map(Number)
  if (dead <= Math.min(stored * MAX_DEAD_SHARE, MAX_DEAD)) return false
  const { slices } = await tableSlices(connection, { table: 'stored', size: 'size' })
  await connection.run(`CREATE TABLE stored_next (${STATE_COLUMNS})`)
  for (const slice of slices.flatMap(slice => [...partsOf(slice)]))
    await connection.run(
      `INSERT INTO stored_next SELECT * EXCLUDE (srid) FROM state WHERE ${isInSlice('srid', slice)}`,
    )
  await connection.run(
    'DROP TABLE stored; ALTER TABLE stored_next RENAME TO stored; CREATE OR REPLACE TABLE dead (rid BIGINT)',
  )
  return true
}

function* partsOf({ from, to }: Slice): Generator<Slice> {
  for (let at = from; at < to; at += REWRITTEN_ROWS) yield { from: at, to: Math.min(at + REWRITTEN_ROWS, to) }
}

/**
 * Deletes the rows of a table whose partition and key `rows`, which is SQL, selects. A large table is written
 * again without them.
 */
export async function removeKeys(
  connection: DuckDBConnection,
  table: 'entries' | 'doubts' | 'captured' | 'gone',
  rows: string,
): Promise<void> {
  const counted = await rowsOf(connection, `SELECT count(*) FROM ${table}`)
  const count = Number(counted[0]?.[0])
  if (count === 0) return
  const isOne = `JOIN (${rows}) e ON e.key = t.key AND e.partition = t.partition`
  await connection.run(
    count <= MAX_ROWS_TO_DELETE
      ? `DELETE FROM ${table} WHERE rowid IN (SELECT t.rowid FROM ${table} t SEMI ${isOne})`
      : `CREATE OR REPLACE TABLE ${table} AS SELECT t.* FROM ${table} t ANTI ${isOne}`,
  )
}
