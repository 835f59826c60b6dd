/**
 * Merges the fed records into the state, in one transaction. A key's state follows only from its last change,
 * and from the outcome in the retry entry that names the partition, run and seq of that change (PROTOCOL.md
 * §3). It does not depend on the earlier state. Partitions come in any order. The last change of a key is the
 * one of the highest run, since a key has at most one change in a run.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { StatePositions } from '../../port.ts'
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
} from '../state/codes.ts'
import { inSlices, noteGoneKeys } from '../state/gone-keys.ts'
import { keyToken } from '../diff/model-rows.ts'
import { groupsOf, type RowHash } from '../diff/row-hash.ts'
import { SLICE_BYTES, tableSlices, VECTOR_ROWS } from '../diff/row-slices.ts'
import type { Shapes } from '../state/shapes.ts'
import { inTransaction, positionsSql } from '../state/state-meta.ts'

/**
 * The state after a change `c` with its outcome: its kind, and which of the change's rows it has. Tests
 * compare it with the function in domain/key-state.ts.
 */
const NEXT_KIND = `CASE
  WHEN c.op = ${SETTLED} THEN c.settled_kind
  WHEN c.outcome = ${DELIVERED} THEN if(c.op = ${REMOVED}, ${ABSENT}, ${PRESENT})
  WHEN c.outcome = ${UNKNOWN} AND c.op = ${ADDED} THEN ${EXISTENCE_UNCERTAIN}
  WHEN c.outcome = ${UNKNOWN} AND c.op = ${CHANGED} THEN ${CONTENT_UNCERTAIN}
  WHEN c.outcome = ${UNKNOWN} AND c.before_kind <> ${ABSENT} THEN ${EXISTENCE_UNCERTAIN}
  WHEN c.outcome = ${EXISTS} AND c.op = ${ADDED} THEN ${CONTENT_UNCERTAIN}
  WHEN c.outcome = ${MISSING} AND c.op IN (${CHANGED}, ${REMOVED}) THEN ${ABSENT}
  ELSE c.before_kind END`

const KEEPS_AFTER = `(c.op = ${SETTLED} OR (c.op IN (${ADDED}, ${CHANGED})
  AND (c.outcome IN (${DELIVERED}, ${UNKNOWN}) OR (c.outcome = ${EXISTS} AND c.op = ${ADDED}))))`

export interface Merge {
  readonly connection: DuckDBConnection
  readonly shapes: Shapes
  /** How rows are hashed. Null before the first diff, which then makes the hashes. */
  readonly hash: RowHash | null
  readonly positions: StatePositions
  readonly signal: AbortSignal
  /** Raises DuckDB's limit, so that it can hold this many bytes of rows. */
  readonly makeRoom: (bytes: number) => Promise<void>
}

/**
 * Carries out the merge, and says whether wide rows were merged. An error or an abort changes nothing, and
 * the fed records stay.
 */
export async function mergeFeed(merge: Merge): Promise<{ readonly isWide: boolean }> {
  const { connection } = merge
  const saving = merge.shapes.saving()
  const ended = await countOf(connection, 'stage_ended')
  if (ended > 0) await dropEnded(connection, ended)
  const distinct = await hasDistinctKeys(connection)
  const emptyState = await isEmpty(connection, 'state')
  const kept = await keptBytes(connection)
  const isWide = kept > SLICE_BYTES
  const { readBytes } = await tableSlices(connection, { table: 'state', size: 'size' })
  // A checkpoint reads as many rows of the state at once.
  await merge.makeRoom(Math.max(kept, readBytes))
  // DuckDB reads 2,048 compressed texts to get one, and needs as much memory to compress them.
  await connection.run(`SET force_compression = '${isWide ? 'uncompressed' : 'auto'}'`)
  await inTransaction(connection, async () => {
    if (saving.sql !== '') await connection.run(saving.sql)
    if (ended > 0) await forgetEnded(connection, ended)
    await replaceByKey(
      connection,
      'retry',
      'partition, key, run, seq, outcome, runs, status, entry',
      'run IS NOT NULL',
    )
    await replaceByKey(connection, 'captured', 'partition, key, content', 'content IS NOT NULL')
    await mergeChanges(merge, { distinct, emptyState, isWide })
    await connection.run(keepOnlyUsefulAbsences)
    await noteGoneKeys(connection)
    await connection.run(positionsSql(merge.positions))
    merge.signal.throwIfAborted()
  })
  saving.saved()
  return { isWide }
}

/** True of what is staged, and not of the rows between wide ones (stage-feed.ts). */
const IS_CHANGE = 'key IS NOT NULL'

/** The most bytes that 2,048 neighbours get in the state. Rows that are narrow for sure are not looked at. */
async function keptBytes(connection: DuckDBConnection): Promise<number> {
  const bytesOf = async (sql: string): Promise<number> =>
    Number((await connection.runAndReadAll(sql)).getRows()[0]?.[0])
  const most = VECTOR_ROWS * (await bytesOf('SELECT max(kept) FROM stage_changes'))
  if (most <= SLICE_BYTES) return most
  return bytesOf(`
    SELECT max(bytes)::DOUBLE FROM (SELECT sum(kept) AS bytes FROM (
      SELECT kept, row_number() OVER () // ${VECTOR_ROWS} AS place FROM stage_changes WHERE ${IS_CHANGE}) GROUP BY place)`)
}

/** Removes staged changes before a tombstone of their key. Row ids stay the same within a transaction. */
async function dropEnded(connection: DuckDBConnection, ended: number): Promise<void> {
  if (await isEmpty(connection, 'stage_changes')) return
  const dropSlice = (slice: string): string => `
    DELETE FROM stage_changes WHERE rowid IN (SELECT c.rowid FROM (SELECT rowid, partition, key FROM stage_changes WHERE ${slice}) c
      JOIN (FROM stage_ended WHERE ${slice}) e ON e.partition = c.partition AND e.key = c.key WHERE c.rowid < e.before)`
  await inTransaction(connection, () => inSlices(connection, ended, dropSlice))
}

/**
 * A tombstone also ends everything that the state has of its key in the partition. If the state was not fed
 * for long, compaction may have removed the records that would have ended it one by one. Staged retry entries
 * and captured values are newer, so they stay.
 */
async function forgetEnded(connection: DuckDBConnection, ended: number): Promise<void> {
  for (const table of ['state', 'retry', 'captured'])
    if (!(await isEmpty(connection, table)))
      await inSlices(
        connection,
        ended,
        slice => `
        DELETE FROM ${table} WHERE ${slice} AND (partition, key) IN (SELECT (partition, key) FROM stage_ended WHERE ${slice})`,
      )
}

/**
 * True if all staged keys are distinct, as within one run. Then the expensive choice of the last change is
 * not needed. Different hashes prove that keys differ.
 */
async function hasDistinctKeys(connection: DuckDBConnection): Promise<boolean> {
  const reader = await connection.runAndReadAll(
    `SELECT count(*) = count(DISTINCT hash(key)) FROM stage_changes WHERE ${IS_CHANGE}`,
  )
  return reader.getRows()[0]?.[0] === true
}

async function countOf(connection: DuckDBConnection, table: string): Promise<number> {
  const reader = await connection.runAndReadAll(`SELECT count(*) FROM ${table}`)
  return Number(reader.getRows()[0]?.[0])
}

async function isEmpty(connection: DuckDBConnection, table: string): Promise<boolean> {
  return (await countOf(connection, `(FROM ${table} LIMIT 1)`)) === 0
}

/**
 * Replaces the records of a table by the last one staged for each partition and key. A staged tombstone
 * removes only the record of its own partition.
 */
async function replaceByKey(
  connection: DuckDBConnection,
  table: 'retry' | 'captured',
  columns: string,
  isRecord: string,
): Promise<void> {
  if (await isEmpty(connection, `stage_${table}`)) return
  if (!(await isEmpty(connection, table)))
    await connection.run(
      `DELETE FROM ${table} WHERE (partition, key) IN (SELECT (partition, key) FROM stage_${table})`,
    )
  await connection.run(`
    INSERT INTO ${table} SELECT ${columns} FROM stage_${table}
    WHERE rowid IN (SELECT max(rowid) FROM stage_${table} GROUP BY partition, key) AND ${isRecord}`)
}

/**
 * The staged change of the highest run for each key, and within a run the last one staged. Run and row id
 * form one number, since its maximum is cheaper to find than that of a pair.
 */
const LAST_OF_EACH_KEY = `
  SELECT CAST(max(CAST(run AS HUGEINT) * ${2 ** 48} + rowid) % ${2 ** 48} AS BIGINT) FROM stage_changes
  WHERE ${IS_CHANGE} GROUP BY ${keyToken('key')}`

/** Removes staged changes of runs before the one whose change the state has of the key. */
async function dropOutdated(connection: DuckDBConnection): Promise<void> {
  const reader = await connection.runAndReadAll(
    'SELECT (SELECT min(run) FROM stage_changes) < (SELECT max(run) FROM state)',
  )
  if (reader.getRows()[0]?.[0] !== true) return
  await connection.run(`
    DELETE FROM stage_changes WHERE rowid IN
      (SELECT c.rowid FROM stage_changes c JOIN state s ON s.key = c.key WHERE c.run < s.run)`)
}

async function mergeChanges(
  merge: Merge,
  of: { readonly distinct: boolean; readonly emptyState: boolean; readonly isWide: boolean },
): Promise<void> {
  const { distinct, emptyState, isWide } = of
  const { connection, hash, shapes } = merge
  if (await isEmpty(connection, 'stage_changes')) return
  if (!emptyState) {
    await dropOutdated(connection)
    await connection.run('DELETE FROM state WHERE key IN (SELECT key FROM stage_changes)')
  }
  const isOneStep = !isWide && (hash === null || groupsOf(hash.columns).length === 1)
  const last = distinct ? 'WHERE s.key IS NOT NULL' : `WHERE s.rowid IN (${LAST_OF_EACH_KEY})`
  if (isOneStep) {
    await connection.run(
      insertStates(`stage_changes s LEFT JOIN retry r ON ${IS_ENTRY_OF_KEY} ${last}`, merge),
    )
    return
  }
  // Find the changes that count and their outcomes for all keys at once, since that needs few bytes of each.
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE fates AS
    SELECT s.rowid AS rid, r.key, r.run, r.seq, r.outcome FROM stage_changes s LEFT JOIN retry r ON ${IS_ENTRY_OF_KEY} ${last}`)
  // The next diff makes the hashes, a few columns at a time.
  const staged = '(SELECT *, rowid AS rid FROM stage_changes) s'
  // A join holds the rows of its right side in memory, so that side has to stay the right one.
  await connection.run(
    `SET disabled_optimizers = 'join_order,build_side_probe_side'; SET enable_caching_operators = false`,
  )
  try {
    await connection.run(insertStates(`${staged} JOIN fates r ON r.rid = s.rid`, { hash: null, shapes }))
  } finally {
    await connection.run('RESET disabled_optimizers; RESET enable_caching_operators')
  }
  await connection.run('DROP TABLE fates')
}

const IS_ENTRY_OF_KEY = 'r.key = s.key AND r.partition = s.partition'

/**
 * Inserts the new states. It keeps the order of the changes, so that neighbours in the model are neighbours
 * in the state. `from` has the changes as `s` and their retry entries as `r`.
 */
function insertStates(from: string, { hash, shapes }: Pick<Merge, 'hash' | 'shapes'>): string {
  const next = `
    SELECT key, partition, run, seq, muted, has_entry, ${NEXT_KIND} AS kind,
      if(${KEEPS_AFTER}, c.after, c.before) AS content, if(${KEEPS_AFTER}, c.after_shape, c.before_shape) AS shape
    FROM (SELECT s.*, r.key IS NOT NULL AS has_entry,
        CASE WHEN r.run = s.run AND r.seq = s.seq THEN r.outcome ELSE ${DELIVERED} END AS outcome
      FROM ${from}) c`
  const parsed = hash === null ? 'NULL' : hash.parseStored(`if(kind = ${ABSENT}, NULL, content)`)
  const made = hash === null ? 'NULL' : hash.ofParsedByShape(shapes.all, 'shape', 'parsed')
  return `
    INSERT INTO state SELECT key, kind, CASE WHEN kind = ${ABSENT} THEN NULL ELSE ${made} END,
      if(kind = ${ABSENT}, NULL, shape), if(kind = ${ABSENT}, NULL, content), partition, run, seq, muted,
      if(kind = ${ABSENT}, NULL, strlen(content))
    FROM (SELECT *, ${parsed} AS parsed FROM (${next}))
    WHERE kind <> ${ABSENT} OR has_entry OR muted IS NOT NULL`
}

/**
 * Keeps an absent key only while it has a retry entry, a muted hash, or captured values that are not ended.
 * Adds a key for each retry entry, with its partition, and for captured values of unknown keys.
 */
const keepOnlyUsefulAbsences = `
  DELETE FROM state WHERE kind = ${ABSENT} AND muted IS NULL AND key NOT IN (SELECT key FROM retry)
    AND NOT EXISTS (SELECT 1 FROM captured c WHERE c.key = state.key AND c.partition = state.partition);
  INSERT INTO state SELECT key, ${ABSENT}, NULL, NULL, NULL, max_by(partition, run), NULL, NULL, NULL, NULL FROM retry
  WHERE key NOT IN (SELECT key FROM state WHERE key IN (SELECT key FROM retry)) GROUP BY key;
  INSERT INTO state SELECT key, ${ABSENT}, NULL, NULL, NULL, max(partition), NULL, NULL, NULL, NULL FROM captured
  WHERE key IN (SELECT key FROM stage_changes UNION ALL SELECT key FROM stage_retry UNION ALL SELECT key FROM stage_captured)
    AND key NOT IN (SELECT key FROM state) GROUP BY key;`
