/**
 * Merges what was fed into the state, in one transaction: the last change of a key and the outcome in the
 * retry entry that names its run and seq make the key's state (PROTOCOL.md §3). It follows from these two
 * alone, not from what was stored before.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { StatePositions } from '../port.ts'
import {
  ABSENT,
  ADDED,
  CHANGED,
  CONTENT_UNCERTAIN,
  DELIVERED,
  EXISTENCE_UNCERTAIN,
  EXISTS,
  MISSING,
  PRESENT,
  REMOVED,
  SETTLED,
  UNKNOWN,
} from './codes.ts'
import type { RowHash } from './row-hash.ts'
import type { Shapes } from './shapes.ts'

/**
 * The state after a change `c` with outcome `o` (domain/key-state.ts): its kind, and which of the change's
 * rows it has. Tests hold it against the function there.
 */
const NEXT_KIND = `CASE
  WHEN c.op = ${SETTLED} THEN c.settled_kind
  WHEN o.outcome = ${DELIVERED} THEN if(c.op = ${REMOVED}, ${ABSENT}, ${PRESENT})
  WHEN o.outcome = ${UNKNOWN} AND c.op = ${ADDED} THEN ${EXISTENCE_UNCERTAIN}
  WHEN o.outcome = ${UNKNOWN} AND c.op = ${CHANGED} THEN ${CONTENT_UNCERTAIN}
  WHEN o.outcome = ${UNKNOWN} AND c.before_kind <> ${ABSENT} THEN ${EXISTENCE_UNCERTAIN}
  WHEN o.outcome = ${EXISTS} AND c.op = ${ADDED} THEN ${CONTENT_UNCERTAIN}
  WHEN o.outcome = ${MISSING} AND c.op IN (${CHANGED}, ${REMOVED}) THEN ${ABSENT}
  ELSE c.before_kind END`

const KEEPS_AFTER = `(c.op = ${SETTLED} OR (c.op IN (${ADDED}, ${CHANGED})
  AND (o.outcome IN (${DELIVERED}, ${UNKNOWN}) OR (o.outcome = ${EXISTS} AND c.op = ${ADDED}))))`

export interface Merge {
  readonly connection: DuckDBConnection
  readonly shapes: Shapes
  /** How rows are hashed; null while the model has not been seen: then hashes are made at the next diff. */
  readonly hash: RowHash | null
  readonly positions: StatePositions
}

/** Carries out the merge. On an error nothing has happened, and what was fed is still there. */
export async function mergeFeed(merge: Merge): Promise<void> {
  const { connection } = merge
  const saving = merge.shapes.saving()
  const distinct = await hasDistinctKeys(connection)
  const emptyState = await isEmpty(connection, 'state')
  await connection.run('BEGIN TRANSACTION')
  try {
    if (saving.sql !== '') await connection.run(saving.sql)
    await replaceByKey(connection, 'retry', 'key, run, seq, outcome, entry', 'run IS NOT NULL')
    await replaceByKey(connection, 'captured', 'key, content', 'content IS NOT NULL')
    await mergeChanges(merge, distinct, emptyState)
    await connection.run(keepOnlyUsefulAbsences)
    await connection.run(positionsSql(merge.positions))
    await connection.run('COMMIT')
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => {})
    throw error
  }
  saving.saved()
}

/**
 * One run has one change per key: then the costly choice of the last one is not needed. Unequal hashes prove
 * that keys are unequal.
 */
async function hasDistinctKeys(connection: DuckDBConnection): Promise<boolean> {
  const reader = await connection.runAndReadAll(
    'SELECT count(*) = count(DISTINCT hash(key)) FROM stage_changes',
  )
  return reader.getRows()[0]?.[0] === true
}

async function isEmpty(connection: DuckDBConnection, table: string): Promise<boolean> {
  const reader = await connection.runAndReadAll(`SELECT count(*) FROM (FROM ${table} LIMIT 1)`)
  return Number(reader.getRows()[0]?.[0]) === 0
}

/** Replaces the records of a table by the last one staged for each key; a staged tombstone removes. */
async function replaceByKey(
  connection: DuckDBConnection,
  table: 'retry' | 'captured',
  columns: string,
  isRecord: string,
): Promise<void> {
  if (await isEmpty(connection, `stage_${table}`)) return
  if (!(await isEmpty(connection, table)))
    await connection.run(`DELETE FROM ${table} WHERE key IN (SELECT key FROM stage_${table})`)
  await connection.run(`
    INSERT INTO ${table} SELECT ${columns} FROM stage_${table}
    WHERE rowid IN (SELECT max(rowid) FROM stage_${table} GROUP BY key) AND ${isRecord}`)
}

async function mergeChanges(merge: Merge, distinct: boolean, emptyState: boolean): Promise<void> {
  const { connection, hash, shapes } = merge
  if (await isEmpty(connection, 'stage_changes')) return
  if (!emptyState) await connection.run('DELETE FROM state WHERE key IN (SELECT key FROM stage_changes)')
  const last = distinct ? '' : 'WHERE c.rowid IN (SELECT max(rowid) FROM stage_changes GROUP BY key)'
  const next = `
    SELECT c.key, c.run, c.seq, c.muted, r.key IS NOT NULL AS has_entry, ${NEXT_KIND} AS kind,
      if(${KEEPS_AFTER}, c.after, c.before) AS content, if(${KEEPS_AFTER}, c.after_shape, c.before_shape) AS shape
    FROM stage_changes c LEFT JOIN retry r ON r.key = c.key,
      LATERAL (SELECT CASE WHEN r.run = c.run AND r.seq = c.seq THEN r.outcome ELSE ${DELIVERED} END AS outcome) o
    ${last}`
  const parsed = hash === null ? 'NULL' : hash.parseStored(`if(kind = ${ABSENT}, NULL, content)`)
  const made = hash === null ? 'NULL' : hash.ofParsedByShape(shapes.all, 'shape', 'parsed')
  await connection.run(`
    INSERT INTO state SELECT key, kind, CASE WHEN kind = ${ABSENT} THEN NULL ELSE ${made} END,
      if(kind = ${ABSENT}, NULL, shape), if(kind = ${ABSENT}, NULL, content), run, seq, muted
    FROM (SELECT *, ${parsed} AS parsed FROM (${next}))
    WHERE kind <> ${ABSENT} OR has_entry OR muted IS NOT NULL`)
}

/**
 * An absent key is worth a place only while a retry entry or a muted hash belongs to it; each retry entry has
 * a key in the state.
 */
const keepOnlyUsefulAbsences = `
  DELETE FROM state WHERE kind = ${ABSENT} AND muted IS NULL AND key NOT IN (SELECT key FROM retry);
  INSERT INTO state SELECT key, ${ABSENT}, NULL, NULL, NULL, NULL, NULL, NULL FROM retry
  WHERE key NOT IN (SELECT key FROM state WHERE key IN (SELECT key FROM retry));`

function positionsSql(positions: StatePositions): string {
  const rows = positions.changes.map((changes, p) => {
    const last = positions.lastChange[p] ?? null
    const place = last === null ? 'NULL, NULL, NULL' : `${last.offset}, ${last.run}, ${last.seq}`
    return `(${p}, ${changes}, ${positions.retry[p] ?? 0}, ${positions.captured[p] ?? 0}, ${place})`
  })
  return `DELETE FROM positions; INSERT INTO positions VALUES ${rows.join(', ')};`
}
