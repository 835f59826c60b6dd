/**
 * Keys that left a partition of `changes` for good. Their last change there is a removal that was delivered
 * or settled, and the state knows nothing of them in that partition any more. A rebuild does not need their
 * remaining records.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { EndedKey } from '../../port.ts'
import { ABSENT, REMOVED, SETTLED } from './codes.ts'
import { asBytes, textOfBytes } from '../sql/duckdb-text.ts'
import { removeKeys } from './stored-rows.ts'

const LEAVES_NOTHING = `(op = ${REMOVED} OR (op = ${SETTLED} AND settled_kind = ${ABSENT}))`

/**
 * The most keys that are compared at once. More may not fit into memory, since this writes no temporary
 * files.
 */
const SLICE_ROWS = 250_000

/**
 * Notes the staged changes after which their keys are gone. Forgets gone keys that came back or have their
 * tombstone. Call it once these changes are merged into the state.
 */
export async function noteGoneKeys(connection: DuckDBConnection): Promise<void> {
  const reader = await connection.runAndReadAll(`
    SELECT (SELECT count(*) FROM (FROM gone LIMIT 1)), (SELECT count(*) FROM stage_changes),
      (SELECT count(*) FROM stage_ended), (SELECT count(*) FROM stage_changes WHERE ${LEAVES_NOTHING})`)
  const [known = 0, changes = 0, ended = 0, leaving = 0] = (reader.getRows()[0] ?? []).map(Number)
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

/**
 * Runs SQL for so many keys in as many slices as they need; each gets the condition on `key` that makes it.
 */
async function inSlices(
  connection: DuckDBConnection,
  rows: number,
  sqlOf: (slice: string) => string,
): Promise<void> {
  const slices = Math.ceil(rows / SLICE_ROWS)
  for (let slice = 0; slice < slices; slice++)
    await connection.run(sqlOf(slices === 1 ? 'true' : `hash(key) % ${slices} = ${slice}`))
}

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
    `SELECT partition, ${asBytes('key')}, rowid FROM gone WHERE since < ${of.before} AND rowid > ${of.behind} LIMIT ${of.limit}`,
  )
  const rows = reader.getRows()
  return {
    keys: rows.map(([partition, key]) => ({ partition: Number(partition), key: textOfBytes(key) ?? '' })),
    last: Number(rows.at(-1)?.[2] ?? of.behind),
  }
}

/** SQL that forgets the keys that were passed on, up to the last of them. */
export function forgetGone({ before, last }: { readonly before: number; readonly last: number }): string {
  return `DELETE FROM gone WHERE since < ${before} AND rowid <= ${last}`
}
