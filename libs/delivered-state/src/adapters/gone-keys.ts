/**
 * Keys that left a partition of `changes` for good: their last change there was delivered or settled as a
 * removal, and the state knows nothing of them in that partition any more. What still stands there of them is
 * worth nothing to a rebuild.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { EndedKey } from '../port.ts'
import { ABSENT, REMOVED, SETTLED } from './codes.ts'

const LEAVES_NOTHING = `(op = ${REMOVED} OR (op = ${SETTLED} AND settled_kind = ${ABSENT}))`

/**
 * SQL that notes which of the staged changes took their keys away, and forgets those that came back or have
 * their tombstone. To be
 * run once these changes are merged into the state.
 */
export const noteGoneKeys = `
  DELETE FROM gone WHERE (partition, key) IN
    (SELECT (partition, key) FROM stage_changes UNION ALL SELECT (partition, key) FROM stage_ended);
  INSERT INTO gone SELECT partition, key, max(since) FROM stage_changes s
  WHERE ${LEAVES_NOTHING} AND NOT EXISTS (FROM (
    FROM state WHERE key IN (SELECT key FROM stage_changes WHERE ${LEAVES_NOTHING})
  ) k WHERE k.key = s.key AND k.partition = s.partition)
  GROUP BY partition, key;`

/** Some keys that have been gone for long, and the row id of the last of them. */
export interface GoneKeys {
  readonly keys: readonly EndedKey[]
  readonly last: number
}

/**
 * The next of the keys that are gone since before a time, in ms since 1970, behind a row id; at most so many.
 * Rows come in the order of their ids, so that DuckDB stops once it has enough.
 */
export async function goneKeys(
  connection: DuckDBConnection,
  of: { readonly before: number; readonly behind: number; readonly limit: number },
): Promise<GoneKeys> {
  const reader = await connection.runAndReadAll(
    `SELECT partition, key, rowid FROM gone WHERE since < ${of.before} AND rowid > ${of.behind} LIMIT ${of.limit}`,
  )
  const rows = reader.getRows()
  return {
    keys: rows.map(([partition, key]) => ({ partition: Number(partition), key: String(key) })),
    last: Number(rows.at(-1)?.[2] ?? of.behind),
  }
}

/** SQL that forgets those that were told, up to the last of them. */
export function forgetGone({ before, last }: { readonly before: number; readonly last: number }): string {
  return `DELETE FROM gone WHERE since < ${before} AND rowid <= ${last}`
}
