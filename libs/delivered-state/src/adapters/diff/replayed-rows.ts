/**
 * The settled changes that precede a replay (PROTOCOL.md §12): the keys of the rows that are to be sent
 * again, each as uncertain as the requests may leave it. While they are read, they are in the temporary table
 * `found`.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Column, Row } from '@sluice/contracts/values'
import type { ChangeBatch, DetectedChange, Diff, DiffRequest, EndedKey } from '../../port.ts'
import { asBytes, textOfBytes } from '../sql/duckdb-text.ts'
import { storedRowReader } from '../sql/row-json.ts'
import { quoteText } from '../sql/sql-types.ts'
import { ABSENT, CONTENT_UNCERTAIN, EXISTENCE_UNCERTAIN, KINDS, PRESENT } from '../state/shapes.ts'
import { foldedKeys, uncertainKind } from './twin-keys.ts'
import { rowsOf } from '../sql/rows-of.ts'

/** The limits of a batch: keys, and about the bytes of their rows. A batch has at least one key. */
const BATCH_KEYS = 1024
const BATCH_BYTES = 8_000_000

/**
 * SQL for the kind of a key `s` once requests with a row of it are sent again. Tests compare it with the
 * function in domain/key-state.ts (`replayed`).
 */
const REPLAYED_KIND = `CASE
  WHEN coalesce(s.kind, ${ABSENT}) = ${ABSENT} THEN if(r.writes, ${EXISTENCE_UNCERTAIN}, ${ABSENT})
  WHEN r.removes OR s.kind = ${EXISTENCE_UNCERTAIN} THEN ${EXISTENCE_UNCERTAIN}
  ELSE ${CONTENT_UNCERTAIN} END`

/** Returns those of the keys whose rows may be at the destination. */
export async function believedKeys(
  connection: DuckDBConnection,
  keys: readonly string[],
): Promise<ReadonlySet<string>> {
  if (keys.length === 0) return new Set()
  const wanted = keys.map(key => quoteText(key)).join(', ')
  const result = await rowsOf(
    connection,
    `SELECT ${asBytes('key')} FROM state WHERE kind <> ${ABSENT} AND key IN (${wanted})`,
  )
  return new Set(result.map(([key]) => textOfBytes(key) ?? ''))
}

/** Makes the diff of a replay. `through` guards the reading of its changes. */
export async function diffReplayed(
  connection: DuckDBConnection,
  request: Pick<DiffRequest, 'columns' | 'opsWithTrigger' | 'atMostOnce' | 'tellsExists'>,
  through: (found: AsyncGenerator<ChangeBatch>) => AsyncGenerator<ChangeBatch>,
): Promise<Diff> {
  const { columns, opsWithTrigger: sent, atMostOnce = false, tellsExists = false } = request
  const settled = await findReplayed(connection, uncertainKind({ sent, atMostOnce, tellsExists }, false))
  const result = await rowsOf(connection, `SELECT count(*) FROM state WHERE kind <> ${ABSENT}`)
  return {
    ...{ columns, retyped: [], rowsRead: 0, rowsInvalid: 0, invalidSamples: [], counts: {}, settled },
    ...{ adopted: { rows: 0, columns: [] }, muted: 0, undecided: 0, removedSamples: [] },
    keysBefore: Number(result[0]?.[0]),
    removalsFirst: await removesTwins(connection),
    changes: () => through(readReplayed(connection, columns, settled)),
    changesByColumn: () => through(readReplayed(connection, columns, settled)),
  }
}

/**
 * Makes the table `found`, and resolves with the number of keys. A removal may take away the rows of the
 * key's twins, so these rows get the kind `twins`. If `twins` is null, they keep their kind.
 */
async function findReplayed(connection: DuckDBConnection, twins: number | null): Promise<number> {
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE found AS
    WITH r AS (SELECT key, bool_or(removes) AS removes, bool_or(NOT removes) AS writes, max(if(content IS NULL, NULL, rowid)) AS given
      FROM stage_replayed GROUP BY key)
    SELECT r.key, r.given, s.srid, coalesce(s.kind, ${ABSENT}) AS kind, s.partition, e.key IS NOT NULL AS has_entry, ${REPLAYED_KIND} AS settled_kind, NULL::VARCHAR AS muted
    FROM r LEFT JOIN state s ON s.key = r.key LEFT JOIN retry e ON e.key = s.key AND e.partition = s.partition
    WHERE ${REPLAYED_KIND} <> ${ABSENT} ${twins === null ? '' : twinsOfRemoved(twins)} ORDER BY srid NULLS LAST, given`)
  const result = await rowsOf(connection, 'SELECT count(*) FROM found')
  return Number(result[0]?.[0])
}

/** Returns SQL for rows whose twins are removed (twin-keys.ts). Muted ones stay muted. */
function twinsOfRemoved(kind: number): string {
  const columns = 'key, srid, kind, partition, muted'
  const present = foldedKeys({ columns, key: 'key', from: `state WHERE kind = ${PRESENT}` })
  const removed = foldedKeys({ columns: 'key', key: 'key', from: 'stage_replayed WHERE removes' })
  return `UNION ALL (
    SELECT s.key, NULL, s.srid, s.kind, s.partition, e.key IS NOT NULL, ${kind}, s.muted
    FROM (${present}) s LEFT JOIN retry e ON e.key = s.key AND e.partition = s.partition
    WHERE s.fold IN (SELECT fold FROM (${removed})) AND s.key NOT IN (SELECT key FROM stage_replayed))`
}

/** True if a key is removed that shares its form with another key. */
async function removesTwins(connection: DuckDBConnection): Promise<boolean> {
  const folded = foldedKeys({ columns: 'key, removes', key: 'key', from: 'stage_replayed' })
  const result = await rowsOf(
    connection,
    `
    SELECT count(*) FROM (SELECT fold FROM (${folded}) GROUP BY fold HAVING bool_or(removes) AND count(DISTINCT key) > 1)`,
  )
  return Number(result[0]?.[0]) > 0
}

/** Reads the table as changes. The rows have the columns of the model. */
async function* readReplayed(
  connection: DuckDBConnection,
  columns: readonly Column[],
  keys: number,
): AsyncGenerator<ChangeBatch> {
  const step = await keysOfBatch(connection)
  const read = storedRowReader(columns)
  for (let from = 0; from < keys; from += step) {
    const result = await rowsOf(
      connection,
      `
      SELECT ${asBytes('f.key')}, f.partition, f.kind, f.settled_kind, f.has_entry, s.content, g.content, c.content, f.muted
      FROM (SELECT rowid AS place, * FROM found WHERE rowid >= ${from} AND rowid < ${from + step}) f
        LEFT JOIN state s ON s.srid = f.srid LEFT JOIN stage_replayed g ON g.rowid = f.given
        LEFT JOIN captured c ON c.key = f.key AND c.partition = f.partition
      ORDER BY f.place`,
    )
    const changes: DetectedChange[] = []
    const endsRetry: EndedKey[] = []
    for (const row of result) {
      const [keyBytes, partition, kind, settled, hasEntry, content, given, captured, muted] = row
      const key = textOfBytes(keyBytes) ?? ''
      const known = partition === null ? null : Number(partition)
      const before = Number(kind) === ABSENT ? null : rowOf(content, read)
      changes.push({
        ...{ op: 'settled', key, partition: known, before, beforeState: KINDS[Number(kind)] ?? 'absent' },
        ...{ after: before ?? rowOf(given, read), settledState: KINDS[Number(settled)] ?? 'absent' },
        ...{ muted: textOf(muted), captured: textOf(captured), retried: null },
      })
      if (hasEntry === true && known !== null) endsRetry.push({ partition: known, key })
    }
    yield { changes, endsRetry }
  }
}

/**
 * Returns the number of keys whose rows fit into memory together, even if all are as large as the largest.
 */
async function keysOfBatch(connection: DuckDBConnection): Promise<number> {
  const result = await rowsOf(
    connection,
    `
    SELECT coalesce(max(coalesce(s.size, 0) + coalesce(strlen(g.content), 0) + strlen(f.key)), 0)
    FROM found f LEFT JOIN state s ON s.srid = f.srid LEFT JOIN stage_replayed g ON g.rowid = f.given`,
  )
  const most = Math.max(1, Number(result[0]?.[0]))
  return Math.max(1, Math.min(BATCH_KEYS, Math.floor(BATCH_BYTES / most)))
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function rowOf(content: unknown, read: (json: unknown) => Row | null): Row | null {
  return typeof content === 'string' ? read(JSON.parse(content)) : null
}
