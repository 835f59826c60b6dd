/**
 * Finds **twins**: keys that an API may take for the same key, since they differ only in letter case,
 * accents, Unicode form or blanks. The two keys may share an object, which the removal of one key takes away.
 * So the removal goes first, and the row of the other key becomes uncertain (PROTOCOL.md §6).
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Op } from '@sluice/contracts/state'
import {
  ABSENT,
  ADDED,
  CHANGED,
  CONTENT_UNCERTAIN,
  EXISTENCE_UNCERTAIN,
  PRESENT,
  REMOVED,
  SETTLED,
} from '../state/shapes.ts'
import { keyToken, MAX_TOKEN_BYTES } from './model-rows.ts'
import { isInSlice, type Slice } from './row-slices.ts'
import { rowsOf } from '../sql/rows-of.ts'

/** The forms of removed keys, and the uncertain kind that the rows of their twins get. */
const GONE = 'twins_gone'
/** Keys that share a form with a removed one. They are sent, or the state has them. */
const TWINS = 'twins'

/** The tables that a diff may leave. */
export const TWIN_TABLES = [GONE, TWINS]

/** Blanks, and invisible characters. */
const BLANKS = '[\\s\\p{Z}\\p{Cc}\\p{Cf}]+'

/**
 * A longer key is its own form. No API takes it for another key, and 2,048 copies would not fit into memory.
 */
const MAX_FOLDED_BYTES = 1_000

/**
 * Returns SQL for the form that a key shares with its twins. Other keys may share it, too, which only makes
 * the removal go first. The form is slow to make only for keys with blanks or beyond ASCII, which are rare.
 */
function foldSql(key: string): string {
  const blanks = ["' '", 'chr(9)', 'chr(10)', 'chr(13)'].map(blank => `contains(${key}, ${blank})`)
  const isRare = [`strlen(${key}) <> length(${key})`, ...blanks].join(' OR ')
  const packed = `CASE WHEN ${isRare} THEN regexp_replace(${key}, '${BLANKS}', '', 'g') ELSE ${key} END`
  // A key of blanks alone is its own form, too.
  const form = `coalesce(nullif(strip_accents(lower(${packed})), ''), ${key})`
  return `CASE WHEN strlen(${key}) > ${MAX_FOLDED_BYTES} THEN ${key} ELSE ${form} END`
}

/** Rows of a table or query: SQL for the columns to select, and for their key. */
interface KeyedRows {
  readonly columns: string
  readonly key: string
  readonly from: string
}

/** Returns SQL for the columns of rows, with the form (`fold`) of their key. */
export function foldedKeys({ columns, key, from }: KeyedRows): string {
  const folded = `SELECT ${columns}, ${foldSql(key)} AS form FROM ${from}`
  return `SELECT * EXCLUDE (form), ${keyToken('form')} AS fold FROM (${folded})`
}

export interface FindTwinsOptions extends TwinRules {
  /** SQL for the key of an extracted row, and the view that has it. */
  readonly key: string
  readonly extracted: string
  /** The slices in which the model's rows are read. Null if rows are narrow. */
  readonly slices: readonly Slice[] | null
}

/** The settings that decide which uncertain kind the row of a twin gets. */
export interface TwinRules {
  /** Ops whose changes are sent. */
  readonly sent: ReadonlySet<Op>
  /** True if no row that has arrived is sent again by itself. */
  readonly atMostOnce: boolean
  /** True if a rule for answers says `exists`: the row is there already. */
  readonly tellsExists: boolean
}

/**
 * Makes each row uncertain that the removal of its twin may take away. `found` has a removal that is sent.
 * Resolves with true if the run sends the row of a twin of a removed key, so that removals have to go first.
 */
export async function findTwins(connection: DuckDBConnection, options: FindTwinsOptions): Promise<boolean> {
  const [seen] = await rowsOf(
    connection,
    `SELECT coalesce(bool_or(section IN (${CHANGED}, ${ADDED}) AND strlen(key) > ${MAX_TOKEN_BYTES}), false) FROM found`,
  )
  await findGone(connection, options)
  const sendsTwins = await markSentTwins(connection, options, seen?.[0] === true)
  await settleOtherTwins(connection)
  await connection.run(`DROP TABLE ${GONE}; DROP TABLE ${TWINS}`)
  return sendsTwins
}

async function findGone(connection: DuckDBConnection, rules: TwinRules): Promise<void> {
  const removed = `SELECT key, srid, kind FROM found WHERE section = ${REMOVED}`
  const known = foldedKeys({
    columns: 'f.key, f.kind',
    key: 's.key',
    from: `state s JOIN (${removed}) f ON f.srid = s.srid`,
  })
  const [certain, uncertain] = [uncertainKind(rules, false), uncertainKind(rules, true)]
  // If several twins are removed, the first removal takes away the object of the others.
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${TWINS} AS ${known};
    CREATE OR REPLACE TEMP TABLE ${GONE} AS
    SELECT fold, count(*) AS keys, if(bool_or(kind = ${EXISTENCE_UNCERTAIN}), ${uncertain ?? 'NULL'}, ${certain ?? 'NULL'})::INTEGER AS doubt
    FROM ${TWINS} GROUP BY fold;
    UPDATE found SET kind = ${EXISTENCE_UNCERTAIN}
    WHERE section = ${REMOVED} AND key IN (SELECT key FROM ${TWINS} JOIN ${GONE} USING (fold) WHERE keys > 1)`)
}

/**
 * Marks a row as uncertain if the run sends it and its key has the same form as a removed key. If the row
 * fails, it stays as uncertain as before. Resolves with true if there is any such row.
 */
async function markSentTwins(
  connection: DuckDBConnection,
  { key, extracted, slices }: FindTwinsOptions,
  hasLong: boolean,
): Promise<boolean> {
  const isComing = `section IN (${CHANGED}, ${ADDED})`
  const twins = (rows: KeyedRows): string =>
    `SELECT f.key, g.doubt FROM (${foldedKeys(rows)}) f JOIN ${GONE} g USING (fold)`
  const short = `found WHERE ${isComing} AND strlen(key) <= ${MAX_TOKEN_BYTES}`
  await connection.run(
    `CREATE OR REPLACE TEMP TABLE ${TWINS} AS ${twins({ columns: 'key', key: 'key', from: short })}`,
  )
  if (hasLong) {
    // The table `found` has only digests of long keys, so their texts come from the extract.
    const long = `(SELECT key, rid FROM found WHERE ${isComing} AND strlen(key) > ${MAX_TOKEN_BYTES})`
    for (const slice of slices ?? [null]) {
      const rows = `(SELECT rid, ${key} AS text FROM ${extracted} ${slice === null ? '' : `WHERE ${isInSlice('rid', slice)}`})`
      const from = `${long} f JOIN ${rows} e ON e.rid = f.rid`
      await connection.run(`INSERT INTO ${TWINS} BY NAME ${twins({ columns: 'f.key', key: 'e.text', from })}`)
    }
  }
  await connection.run(`
    UPDATE found SET kind = greatest(kind, t.doubt), section = if(t.doubt = ${EXISTENCE_UNCERTAIN}, ${ADDED}, section)
    FROM ${TWINS} t WHERE found.key = t.key AND section = ${CHANGED} AND t.doubt IS NOT NULL`)
  const result = await rowsOf(connection, `SELECT count(*) FROM ${TWINS}`)
  return Number(result[0]?.[0]) > 0
}

/**
 * Settles twins as uncertain that are at the destination, and that the run does not send. They are settled
 * before the removal goes out, and the next run sends them again.
 */
async function settleOtherTwins(connection: DuckDBConnection): Promise<void> {
  const known = `state s WHERE kind <> ${ABSENT}`
  const columns = `${keyToken('s.key')} AS key, s.srid, s.partition, s.kind, s.muted`
  const isRemoved = `key IN (SELECT key FROM found WHERE section = ${REMOVED})`
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${TWINS} AS
    SELECT f.*, g.doubt FROM (${foldedKeys({ columns, key: 's.key', from: known })}) f JOIN ${GONE} g USING (fold)
    WHERE g.doubt IS NOT NULL AND NOT ${isRemoved}`)
  // A muted row stays muted, as long as it is the row that was given up.
  await connection.run(`
    UPDATE found SET settled_kind = greatest(t.kind, t.doubt) FROM ${TWINS} t
    WHERE found.key = t.key AND section = ${SETTLED} AND settled_kind BETWEEN ${PRESENT} AND t.doubt;
    INSERT INTO found BY NAME
    SELECT ${SETTLED} AS section, key, partition, srid, kind, false AS is_retry,
      EXISTS (SELECT 1 FROM retry r WHERE ${keyToken('r.key')} = t.key AND r.partition = t.partition) AS has_entry,
      muted, false AS newly_muted, doubt AS settled_kind, 'state' AS takes
    FROM ${TWINS} t WHERE kind < doubt AND key NOT IN (SELECT key FROM found)`)
}

/**
 * Returns the uncertain kind with which the row of a twin is sent again; null if no op sends it, or it may
 * not be sent again. After a removal whose own row was uncertain, the object is probably gone, and `changed`
 * would not find it. If it is there after all, an API refuses `added`, and only a rule can say `exists`.
 */
export function uncertainKind(
  { sent, atMostOnce, tellsExists }: TwinRules,
  isUncertain: boolean,
): number | null {
  if (atMostOnce) return null
  if (sent.has('added') && (isUncertain || tellsExists || !sent.has('changed'))) return EXISTENCE_UNCERTAIN
  return sent.has('changed') ? CONTENT_UNCERTAIN : null
}
