/**
 * Merges the fed records into the state, in one transaction. A key's state follows only from its last change,
 * and from the outcome in the retry entry that names the partition, run and seq of that change (PROTOCOL.md
 * §3). It does not depend on the earlier state. Partitions come in any order. The last change of a key is in
 * the highest run, since a key has at most one change in a run.
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
  type Shapes,
} from '../state/shapes.ts'
import {
  noteGoneKeys,
  MAX_ROWS_TO_DELETE,
  dropDeadRows,
  groupRowsFor,
  hideRows,
  removeKeys,
} from '../state/stored-rows.ts'
import { endKeptSql, stageEntered } from './kept-run.ts'
import { keyToken } from '../diff/model-rows.ts'
import { groupsOf, type RowHash } from '../diff/row-hash.ts'
import { SLICE_BYTES, tableSlices, VECTOR_ROWS } from '../diff/row-slices.ts'
import { inTransaction, positionsSql, runInTransaction } from '../state/state-meta.ts'
import { rowsOf } from '../sql/rows-of.ts'

/**
 * SQL for the state after a change `c` with its outcome: its kind, and below, which of the change's rows it
 * has. Tests compare it with the function in domain/key-state.ts.
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
  /** The hash of rows. Null before the first diff, which then computes the hashes. */
  readonly hash: RowHash | null
  readonly positions: StatePositions
  readonly signal: AbortSignal
  /** Raises DuckDB's limit for a merge that reads `bytes` of rows at once and leaves `rows` in the state. */
  readonly makeRoom: (rows: number, bytes: number) => Promise<void>
  /** The rows of a row group that is written now, and how to write others. */
  readonly groupRows: number
  readonly useGroups: (groupRows: number) => Promise<void>
  /** `taken` if rows of a run are kept and merged now; `left` if they are kept, and dropped now. */
  readonly kept: 'none' | 'left' | 'taken'
  /** False if no record is staged, as after a run that changed nothing. */
  readonly hasRecords: boolean
}

/**
 * Carries out the merge. `isMerged` is true if there was more to merge than positions, and `isWide` if there
 * were wide rows among it. An error or an abort changes nothing, and the fed records stay.
 */
export async function mergeFeed(
  merge: Merge,
): Promise<{ readonly isMerged: boolean; readonly isWide: boolean }> {
  const { connection } = merge
  // Only the positions differ: a merge without records changes no row.
  if (!merge.hasRecords && merge.kept === 'none') {
    await runInTransaction(connection, positionsSql(merge.positions))
    return { isMerged: false, isWide: false }
  }
  const saving = merge.shapes.saving()
  if (merge.kept === 'taken') await stageEntered(connection)
  const { ended, entries, doubts, captured, hasState } = await lookAtRecords(connection)
  if (ended) await dropEnded(connection)
  const distinct = await hasDistinctKeys(connection)
  const emptyState = merge.kept !== 'taken' && !hasState
  if (!emptyState) await dropOutdated(connection)
  const { staged, rows, kept, readBytes } = await measureMerge(connection)
  const isWide = kept > SLICE_BYTES
  const isWideStored = readBytes > SLICE_BYTES
  const groupRows = groupRowsFor(rows, Math.max(kept, readBytes))
  if (staged > 0 && groupRows !== merge.groupRows) await merge.useGroups(groupRows)
  // A checkpoint, too, reads 2,048 rows of the state at once.
  await merge.makeRoom(rows, Math.max(kept, readBytes))
  // DuckDB reads 2,048 compressed texts to get one, and needs as much memory to compress them.
  await connection.run(`SET force_compression = '${isWide || isWideStored ? 'uncompressed' : 'auto'}'`)
  let wroteWide = false
  await inTransaction(connection, async () => {
    if (saving.sql !== '') await connection.run(saving.sql)
    if (merge.kept !== 'none') await connection.run(endKeptSql(merge.kept === 'taken'))
    if (ended) await forgetEnded(connection)
    await replaceEntries(connection, { entries, doubts })
    const values = { columns: 'partition, key, content', isRecord: 'content IS NOT NULL' }
    if (captured) await replaceByKey(connection, 'captured', { staged: 'stage_captured', ...values })
    if (staged > 0 && !emptyState)
      await hideRows(
        connection,
        `SELECT s.srid FROM state s SEMI JOIN (SELECT key FROM stage_changes WHERE ${IS_CHANGE}) c ON c.key = s.key`,
      )
    if (!emptyState) await hideRows(connection, USELESS_ABSENCES)
    wroteWide = (await dropDeadRows(connection)) && isWideStored
    if (staged > 0) await insertChanges(merge, { distinct, isWide })
    await connection.run(INSERT_USEFUL_ABSENCES)
    await noteGoneKeys(connection)
    await connection.run(positionsSql(merge.positions))
    merge.signal.throwIfAborted()
  })
  saving.saved()
  return { isMerged: true, isWide: isWide || wroteWide }
}

/** The rows that a merge may write, and the most bytes of 2,048 neighbours among the new and the old ones. */
async function measureMerge(connection: DuckDBConnection) {
  const kept = await keptBytes(connection)
  const { readBytes } = await tableSlices(connection, { table: 'stored', size: 'size' })
  const counted = await rowsOf(
    connection,
    'SELECT (SELECT count(*) FROM stage_changes), (SELECT count(*) FROM stored)',
  )
  const [staged = 0, stored = 0] = (counted[0] ?? []).map(Number)
  return { staged, rows: staged + stored, kept, readBytes }
}

/** Says which records are staged, and whether the state has rows. */
async function lookAtRecords(connection: DuckDBConnection) {
  const tables = ['stage_ended', 'stage_retry', 'stage_doubts', 'stage_captured', 'state']
  const has = tables.map(table => `EXISTS (FROM ${table})`)
  const [row = []] = await rowsOf(connection, `SELECT ${has.join(', ')}`)
  const [ended = false, entries = false, doubts = false, captured = false, hasState = false] = row.map(
    value => value === true,
  )
  return { ended, entries, doubts, captured, hasState }
}

/** SQL that is true for a staged change, and not for the empty rows between wide ones (stage-feed.ts). */
const IS_CHANGE = 'key IS NOT NULL'

/** Returns the greatest number of bytes that 2,048 neighbouring staged rows will have in the state. */
async function keptBytes(connection: DuckDBConnection): Promise<number> {
  const bytesOf = async (sql: string): Promise<number> => Number((await rowsOf(connection, sql))[0]?.[0])
  const most = VECTOR_ROWS * (await bytesOf('SELECT max(kept) FROM stage_changes'))
  if (most <= SLICE_BYTES) return most
  return bytesOf(`
    SELECT max(bytes)::DOUBLE FROM (SELECT sum(kept) AS bytes FROM (
      SELECT kept, row_number() OVER () // ${VECTOR_ROWS} AS place FROM stage_changes WHERE ${IS_CHANGE}) GROUP BY place)`)
}

/** Removes staged changes before a tombstone of their key. */
async function dropEnded(connection: DuckDBConnection): Promise<void> {
  await dropStaged(
    connection,
    'JOIN stage_ended e ON e.partition = c.partition AND e.key = c.key WHERE c.rowid < e.before',
  )
}

/**
 * Removes the staged changes `c` that a join finds. It must not run in a transaction, where row ids may
 * change.
 */
async function dropStaged(connection: DuckDBConnection, found: string): Promise<void> {
  const staged = await countOf(connection, 'stage_changes')
  if (staged === 0) return
  await connection.run(
    `CREATE OR REPLACE TEMP TABLE dropped AS SELECT DISTINCT c.rowid AS rid FROM stage_changes c ${found}`,
  )
  const dropped = await countOf(connection, 'dropped')
  // In a large table, deletes take too much memory (stored-rows.ts).
  if (dropped > 0)
    await connection.run(
      staged <= MAX_ROWS_TO_DELETE
        ? 'DELETE FROM stage_changes WHERE rowid IN (SELECT rid FROM dropped)'
        : 'CREATE OR REPLACE TEMP TABLE stage_changes AS SELECT c.* FROM stage_changes c ANTI JOIN dropped ON dropped.rid = c.rowid',
    )
  await connection.run('DROP TABLE dropped')
}

/**
 * Removes all that the state has of keys with tombstones, in the partition of each tombstone. If the state
 * was not fed for long, compaction may have dropped the records that would have ended these one by one.
 * Staged retry entries and captured values are newer, so they stay.
 */
async function forgetEnded(connection: DuckDBConnection): Promise<void> {
  const ended = 'SELECT partition, key FROM stage_ended'
  await hideRows(
    connection,
    `SELECT s.srid FROM state s SEMI JOIN (${ended}) e ON e.key = s.key AND e.partition = s.partition`,
  )
  for (const table of ['entries', 'doubts', 'captured'] as const) await removeKeys(connection, table, ended)
}

/**
 * True if all staged keys are distinct, as within one run. Then the expensive choice of the last change is
 * not needed. Different hashes prove that keys differ.
 */
async function hasDistinctKeys(connection: DuckDBConnection): Promise<boolean> {
  const result = await rowsOf(
    connection,
    `SELECT count(*) = count(DISTINCT hash(key)) FROM stage_changes WHERE ${IS_CHANGE}`,
  )
  return result[0]?.[0] === true
}

async function countOf(connection: DuckDBConnection, table: string): Promise<number> {
  const result = await rowsOf(connection, `SELECT count(*) FROM ${table}`)
  return Number(result[0]?.[0])
}

/**
 * Replaces the entries of the topic `retry`, and the entries for changes whose outcome a run lost (`doubts`).
 * An entry in `doubts` stays until the next change of its key in the same partition, whatever `retry` says.
 */
async function replaceEntries(
  connection: DuckDBConnection,
  has: { readonly entries: boolean; readonly doubts: boolean },
): Promise<void> {
  const columns = 'partition, key, run, seq, outcome, runs, status, reason, entry'
  const isRecord = 'run IS NOT NULL'
  if (has.entries) await replaceByKey(connection, 'entries', { staged: 'stage_retry', columns, isRecord })
  await removeKeys(connection, 'doubts', `SELECT partition, key FROM stage_changes WHERE ${IS_CHANGE}`)
  if (has.doubts) await replaceByKey(connection, 'doubts', { staged: 'stage_doubts', columns, isRecord })
}

/**
 * Replaces the records of a table by the last one staged for each partition and key. A staged tombstone
 * removes only the record of its own partition.
 */
async function replaceByKey(
  connection: DuckDBConnection,
  table: 'entries' | 'doubts' | 'captured',
  {
    staged,
    columns,
    isRecord,
  }: { readonly staged: string; readonly columns: string; readonly isRecord: string },
): Promise<void> {
  await removeKeys(connection, table, `SELECT partition, key FROM ${staged}`)
  await connection.run(`
    INSERT INTO ${table} SELECT ${columns} FROM ${staged}
    WHERE rowid IN (SELECT max(rowid) FROM ${staged} GROUP BY partition, key) AND ${isRecord}`)
}

/**
 * SQL for the last staged change of each key: the change of the highest run, and within a run the one of the
 * highest slice, since a key that goes may come back in another partition. Then the last one staged counts.
 * Run, slice and row id form one number, since the maximum of a number is cheaper to find than that of a
 * list.
 */
const LAST_OF_EACH_KEY = `
  SELECT CAST(max((CAST(run AS HUGEINT) * ${2 ** 32} + slice) * ${2 ** 48} + rowid) % ${2 ** 48} AS BIGINT) FROM stage_changes
  WHERE ${IS_CHANGE} GROUP BY ${keyToken('key')}`

/** Removes staged changes of keys for which the state has the change of a later run. */
async function dropOutdated(connection: DuckDBConnection): Promise<void> {
  const result = await rowsOf(
    connection,
    'SELECT (SELECT min(run) FROM stage_changes) < (SELECT max(run) FROM stored)',
  )
  if (result[0]?.[0] !== true) return
  // A row that a tombstone ends does not outdate a change in another partition.
  const kept =
    'SELECT s.key, s.run FROM state s ANTI JOIN stage_ended e ON e.key = s.key AND e.partition = s.partition'
  await dropStaged(connection, `JOIN (${kept}) s ON s.key = c.key WHERE c.run < s.run`)
}

async function insertChanges(
  merge: Merge,
  { distinct, isWide }: { readonly distinct: boolean; readonly isWide: boolean },
): Promise<void> {
  const { connection, hash, shapes } = merge
  const isOneStep = !isWide && (hash === null || groupsOf(hash.columns).length === 1)
  const last = distinct ? 'WHERE s.key IS NOT NULL' : `WHERE s.rowid IN (${LAST_OF_EACH_KEY})`
  if (isOneStep) {
    await connection.run(
      insertStates(`stage_changes s LEFT JOIN retry r ON ${IS_ENTRY_OF_KEY} ${last}`, merge),
    )
    return
  }
  // The changes that count and their outcomes are found for all keys at once, since that needs few bytes.
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE fates AS
    SELECT s.rowid AS rid, r.key, r.run, r.seq, r.outcome FROM stage_changes s LEFT JOIN retry r ON ${IS_ENTRY_OF_KEY} ${last}`)
  // The next diff makes the hashes, a few columns at a time.
  const staged = '(SELECT *, rowid AS rid FROM stage_changes) s'
  // A join has the rows of its right side in memory, so the optimizer must not swap the sides.
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
    INSERT INTO stored SELECT key, kind, CASE WHEN kind = ${ABSENT} THEN NULL ELSE ${made} END,
      if(kind = ${ABSENT}, NULL, shape), if(kind = ${ABSENT}, NULL, content), partition, run, seq, muted,
      if(kind = ${ABSENT}, NULL, strlen(content))
    FROM (SELECT *, ${parsed} AS parsed FROM (${next}))
    WHERE kind <> ${ABSENT} OR has_entry OR muted IS NOT NULL`
}

/**
 * SQL for absent keys that the state need not keep: they have no retry entry, no muted hash, and no captured
 * values.
 */
const USELESS_ABSENCES = `
  SELECT srid FROM state WHERE kind = ${ABSENT} AND muted IS NULL
    AND NOT EXISTS (SELECT 1 FROM retry r WHERE r.key = state.key)
    AND NOT EXISTS (SELECT 1 FROM captured c WHERE c.key = state.key AND c.partition = state.partition)`

/**
 * SQL that adds a key for each retry entry, with its partition, and for captured values of unknown keys. It
 * has joins, and no `NOT IN`, for which DuckDB keeps all keys of the subquery in memory.
 */
const INSERT_USEFUL_ABSENCES = `
  INSERT INTO stored SELECT r.key, ${ABSENT}, NULL, NULL, NULL, max_by(r.partition, r.run), NULL, NULL, NULL, NULL FROM retry r
  ANTI JOIN (SELECT key FROM state WHERE key IN (SELECT key FROM retry)) s ON s.key = r.key GROUP BY r.key;
  INSERT INTO stored SELECT c.key, ${ABSENT}, NULL, NULL, NULL, max(c.partition), NULL, NULL, NULL, NULL FROM captured c
  SEMI JOIN (
    SELECT key FROM stage_changes UNION ALL SELECT key FROM stage_retry UNION ALL SELECT key FROM stage_captured
  ) g ON g.key = c.key
  ANTI JOIN (SELECT key FROM state WHERE key IN (SELECT key FROM captured)) s ON s.key = c.key GROUP BY c.key;`
