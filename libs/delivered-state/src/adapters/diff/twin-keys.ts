/**
 * Finds keys that an API may take for one: they differ only in letter case, accents, Unicode form or blanks.
 * They are **twins**. The removal of one may take away the object that both have. So it goes first, and what
 * is known of the other one is uncertain (PROTOCOL.md §6).
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

/** The forms of removed keys, and as what the rows of their twins are doubted. */
const GONE = 'twins_gone'
/** Keys that share a form with one of those: they are sent, or the state has them. */
const TWINS = 'twins'

/** The tables that a diff may leave. */
export const TWIN_TABLES = [GONE, TWINS]

/** Blanks, and what is not seen. */
const BLANKS = '[\\s\\p{Z}\\p{Cc}\\p{Cf}]+'

/**
 * A longer key is its own form: no API takes it for another one, and copies of 2,048 of them would not fit.
 */
const MAX_FOLDED_BYTES = 1_000

/**
 * SQL for the form that a key shares with its twins. Keys that no API takes for one may share it, too. That
 * costs no more than an order. Few keys are more than ASCII or have blanks, and only for those it is slow.
 */
function foldSql(key: string): string {
  const blanks = ["' '", 'chr(9)', 'chr(10)', 'chr(13)'].map(blank => `contains(${key}, ${blank})`)
  const isRare = [`strlen(${key}) <> length(${key})`, ...blanks].join(' OR ')
  const packed = `CASE WHEN ${isRare} THEN regexp_replace(${key}, '${BLANKS}', '', 'g') ELSE ${key} END`
  // A key of nothing else is its own form, too.
  const form = `coalesce(nullif(strip_accents(lower(${packed})), ''), ${key})`
  return `CASE WHEN strlen(${key}) > ${MAX_FOLDED_BYTES} THEN ${key} ELSE ${form} END`
}

/** SQL for the columns of rows, with the form (`fold`) of their key. */
export function foldedKeys(of: {
  readonly columns: string
  readonly key: string
  readonly from: string
}): string {
  const folded = `SELECT ${of.columns}, ${foldSql(of.key)} AS form FROM ${of.from}`
  return `SELECT * EXCLUDE (form), ${keyToken('form')} AS fold FROM (${folded})`
}

export interface TwinsOf extends Doubts {
  /** SQL for the key of an extracted row, and the view that has it. */
  readonly key: string
  readonly extracted: string
  /** The stretches in which the model's rows are looked at. Null if rows are narrow. */
  readonly slices: readonly Slice[] | null
}

/** What decides how the row of a twin is doubted. */
export interface Doubts {
  /** Ops whose changes are sent. */
  readonly sent: ReadonlySet<Op>
  /** True if nothing that has arrived is sent again by itself. */
  readonly atMostOnce: boolean
  /** True if a rule says of an answer that the row is there already. */
  readonly tellsExists: boolean
}

/**
 * Makes the rows uncertain that a removal of a twin may take away. True if the run sends the row of a twin of
 * a removed key, so that removals have to go first. A removal that is not sent has no twin.
 */
export async function findTwins(connection: DuckDBConnection, of: TwinsOf): Promise<boolean> {
  if (!of.sent.has('removed')) return false
  const seen = await connection.runAndReadAll(`
    SELECT coalesce(bool_or(section = ${REMOVED}), false),
      coalesce(bool_or(section IN (${CHANGED}, ${ADDED}) AND strlen(key) > ${MAX_TOKEN_BYTES}), false) FROM found`)
  const [removes, hasLong] = seen.getRows()[0] ?? []
  if (removes !== true) return false
  await findGone(connection, of)
  const sendsTwins = await doubtComing(connection, of, hasLong === true)
  await doubtKnown(connection)
  await connection.run(`DROP TABLE ${GONE}; DROP TABLE ${TWINS}`)
  return sendsTwins
}

async function findGone(connection: DuckDBConnection, of: Doubts): Promise<void> {
  const removed = `SELECT key, srid, kind FROM found WHERE section = ${REMOVED}`
  const known = foldedKeys({
    columns: 'f.key, f.kind',
    key: 's.key',
    from: `state s JOIN (${removed}) f ON f.srid = s.srid`,
  })
  const [certain, uncertain] = [doubtfulKind(of, false), doubtfulKind(of, true)]
  // If several of them are removed, the first takes away what the others have.
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${TWINS} AS ${known};
    CREATE OR REPLACE TEMP TABLE ${GONE} AS
    SELECT fold, count(*) AS keys, if(bool_or(kind = ${EXISTENCE_UNCERTAIN}), ${uncertain ?? 'NULL'}, ${certain ?? 'NULL'})::INTEGER AS doubt
    FROM ${TWINS} GROUP BY fold;
    UPDATE found SET kind = ${EXISTENCE_UNCERTAIN}
    WHERE section = ${REMOVED} AND key IN (SELECT key FROM ${TWINS} JOIN ${GONE} USING (fold) WHERE keys > 1)`)
}

/**
 * Rows that are sent, and share a form with a removed key. A failure leaves such a row as uncertain as it was
 * before. True if there are any.
 */
async function doubtComing(connection: DuckDBConnection, of: TwinsOf, hasLong: boolean): Promise<boolean> {
  const isComing = `section IN (${CHANGED}, ${ADDED})`
  const twins = (from: { readonly columns: string; readonly key: string; readonly from: string }): string =>
    `SELECT f.key, g.doubt FROM (${foldedKeys(from)}) f JOIN ${GONE} g USING (fold)`
  const short = `found WHERE ${isComing} AND strlen(key) <= ${MAX_TOKEN_BYTES}`
  await connection.run(
    `CREATE OR REPLACE TEMP TABLE ${TWINS} AS ${twins({ columns: 'key', key: 'key', from: short })}`,
  )
  if (hasLong) {
    // Their tokens are digests.
    const long = `(SELECT key, rid FROM found WHERE ${isComing} AND strlen(key) > ${MAX_TOKEN_BYTES})`
    for (const slice of of.slices ?? [null]) {
      const rows = `(SELECT rid, ${of.key} AS text FROM ${of.extracted} ${slice === null ? '' : `WHERE ${isInSlice('rid', slice)}`})`
      const from = `${long} f JOIN ${rows} e ON e.rid = f.rid`
      await connection.run(`INSERT INTO ${TWINS} BY NAME ${twins({ columns: 'f.key', key: 'e.text', from })}`)
    }
  }
  await connection.run(`
    UPDATE found SET kind = greatest(kind, t.doubt), section = if(t.doubt = ${EXISTENCE_UNCERTAIN}, ${ADDED}, section)
    FROM ${TWINS} t WHERE found.key = t.key AND section = ${CHANGED} AND t.doubt IS NOT NULL`)
  const reader = await connection.runAndReadAll(`SELECT count(*) FROM ${TWINS}`)
  return Number(reader.getRows()[0]?.[0]) > 0
}

/**
 * Rows that were there before this run, and that the run does not send. They are settled as uncertain, before
 * the removal goes out, and the next run sends them again.
 */
async function doubtKnown(connection: DuckDBConnection): Promise<void> {
  const known = `state s WHERE kind <> ${ABSENT}`
  const columns = `${keyToken('s.key')} AS key, s.srid, s.partition, s.kind, s.muted`
  const isRemoved = `key IN (SELECT key FROM found WHERE section = ${REMOVED})`
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${TWINS} AS
    SELECT f.*, g.doubt FROM (${foldedKeys({ columns, key: 's.key', from: known })}) f JOIN ${GONE} g USING (fold)
    WHERE g.doubt IS NOT NULL AND NOT ${isRemoved}`)
  // What is passed over stays so, as long as its row is the one that was given up.
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
 * As what the row of a twin is doubted, so that it is sent; null if no op sends it, or it may not be sent
 * again. After a removal of unknown outcome the object is probably gone, and `changed` would not find it. It
 * may be another one's, too, and then only a rule tells `added` so.
 */
export function doubtfulKind({ sent, atMostOnce, tellsExists }: Doubts, isUncertain: boolean): number | null {
  if (atMostOnce) return null
  if (sent.has('added') && (isUncertain || tellsExists || !sent.has('changed'))) return EXISTENCE_UNCERTAIN
  return sent.has('changed') ? CONTENT_UNCERTAIN : null
}
