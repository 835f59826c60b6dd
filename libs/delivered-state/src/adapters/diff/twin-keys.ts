/**
 * Finds keys that an API may take for one: they differ only in letter case, accents, Unicode form or blanks.
 * Such a key that leaves the model, and another one that comes, are **twins**. If the request that removes
 * the first came last, it would take away the row of the second. So both go to one partition, where removals
 * stand first, and both name the form that they share (PROTOCOL.md §6).
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
} from '../state/codes.ts'
import { keyToken, MOST_TOKEN_BYTES } from './model-rows.ts'
import { isInSlice, type Slice } from './row-slices.ts'

/** The table of the keys of `found` that have a twin (by their tokens), and the forms that they share. */
export const TWINS = 'twins'
/** Keys that are removed, or may be removed by a later run, with the form and partition of each. */
const GONE = 'twins_gone'
/** Keys whose rows are sent, and that share a form with one of those. */
const COMING = 'twins_coming'

/** The tables that a diff may leave. */
export const TWIN_TABLES = [TWINS, GONE, COMING]

/** The text of a muted removal begins with its op (find-changes.ts). */
const IS_MUTED_REMOVAL = `coalesce(s.muted LIKE '${REMOVED}:%', false)`

/** Blanks, and what is not seen. */
const BLANKS = '[\\s\\p{Z}\\p{Cc}\\p{Cf}]+'

/**
 * A longer key is its own form: no API takes it for another one, and copies of 2,048 of them would not fit.
 */
const MOST_FOLDED_BYTES = 1_000

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
  return `CASE WHEN strlen(${key}) > ${MOST_FOLDED_BYTES} THEN ${key} ELSE ${form} END`
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

export interface TwinsOf {
  /** SQL for the key of an extracted row, and the view that has it. */
  readonly key: string
  readonly extracted: string
  /** The stretches in which the model's rows are looked at. Null if rows are narrow. */
  readonly slices: readonly Slice[] | null
  /** Ops whose changes are sent. */
  readonly sent: ReadonlySet<Op>
  /** True if nothing that has arrived is sent again by itself. */
  readonly atMostOnce: boolean
}

/**
 * Makes the table of twins, and gives an added row without a partition that of its twin. False if there are
 * none: then there is no table. A removal that is not sent has no twin.
 */
export async function findTwins(connection: DuckDBConnection, of: TwinsOf): Promise<boolean> {
  if (!of.sent.has('removed')) return false
  const seen = await connection.runAndReadAll(`
    SELECT coalesce(bool_or(section = ${REMOVED}), false), coalesce(bool_or(section = ${ADDED} AND partition IS NULL), false),
      coalesce(bool_or(section IN (${CHANGED}, ${ADDED}) AND strlen(key) > ${MOST_TOKEN_BYTES}), false) FROM found`)
  const [removes, adds, hasLong] = seen.getRows()[0] ?? []
  if (removes !== true && adds !== true) return false
  if (!(await findGone(connection))) return false
  await findComing(connection, of, hasLong === true)
  // The partition of a removal that is sent comes before that of one which a later run may send.
  await connection.run(`
    UPDATE found SET partition = c.partition FROM (
      SELECT key, g.partition FROM ${COMING} JOIN (
        SELECT fold, first(partition ORDER BY is_sent DESC, key) AS partition FROM ${GONE} GROUP BY fold) g USING (fold)
      WHERE own IS NULL) c
    WHERE found.key = c.key`)
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${TWINS} AS
    WITH c AS (SELECT key, fold, found.partition FROM ${COMING} JOIN found USING (key)),
      g AS (SELECT key, fold, partition FROM ${GONE} WHERE is_sent)
    SELECT key, fold FROM g SEMI JOIN c USING (fold, partition)
    UNION ALL SELECT key, fold FROM c SEMI JOIN g USING (fold, partition)`)
  await doubtTwins(connection, of)
  await connection.run(`DROP TABLE ${GONE}; DROP TABLE ${COMING}`)
  const reader = await connection.runAndReadAll(`SELECT count(*) FROM ${TWINS}`)
  return Number(reader.getRows()[0]?.[0]) > 0
}

/** A removal that was given up, or that nobody has decided about, is not sent now. */
async function findGone(connection: DuckDBConnection): Promise<boolean> {
  const known = (columns: string, from: string): string =>
    foldedKeys({ columns: `${columns}, s.partition`, key: 's.key', from })
  const removed = `SELECT key, srid FROM found WHERE section = ${REMOVED}`
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${GONE} AS
    ${known('f.key, true AS is_sent', `state s JOIN (${removed}) f ON f.srid = s.srid`)};
    INSERT INTO ${GONE} BY NAME ${known(
      `${keyToken('s.key')} AS key, false AS is_sent`,
      `state s WHERE (s.kind IN (${CONTENT_UNCERTAIN}, ${EXISTENCE_UNCERTAIN}) OR ${IS_MUTED_REMOVAL})
        AND s.srid NOT IN (SELECT srid FROM found WHERE section <> ${SETTLED} AND srid IS NOT NULL)`,
    )}`)
  const reader = await connection.runAndReadAll(`SELECT count(*) FROM ${GONE}`)
  return Number(reader.getRows()[0]?.[0]) > 0
}

async function findComing(connection: DuckDBConnection, of: TwinsOf, hasLong: boolean): Promise<void> {
  const isComing = `section IN (${CHANGED}, ${ADDED})`
  const twins = (from: { readonly columns: string; readonly key: string; readonly from: string }): string =>
    `SELECT * FROM (${foldedKeys(from)}) WHERE fold IN (SELECT fold FROM ${GONE})`
  const short = `found WHERE ${isComing} AND strlen(key) <= ${MOST_TOKEN_BYTES}`
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${COMING} AS ${twins({ columns: 'key, partition AS own', key: 'key', from: short })}`)
  if (!hasLong) return
  // Their tokens are digests.
  const long = `(SELECT key, partition AS own, rid FROM found WHERE ${isComing} AND strlen(key) > ${MOST_TOKEN_BYTES})`
  for (const slice of of.slices ?? [null]) {
    const rows = `(SELECT rid, ${of.key} AS text FROM ${of.extracted} ${slice === null ? '' : `WHERE ${isInSlice('rid', slice)}`})`
    const from = `${long} f JOIN ${rows} e ON e.rid = f.rid`
    await connection.run(
      `INSERT INTO ${COMING} BY NAME ${twins({ columns: 'f.key, f.own', key: 'e.text', from })}`,
    )
  }
}

/**
 * A removal may take away the row of a twin that was there before this run, and that the run does not send.
 * So that row is settled as uncertain, before the removal goes out, and the next run sends it again.
 */
async function doubtTwins(connection: DuckDBConnection, of: TwinsOf): Promise<void> {
  const kind = doubtfulKind(of)
  if (kind === null) return
  const known = `state s WHERE kind <> ${ABSENT}`
  const columns = `${keyToken('s.key')} AS key, s.srid, s.partition, s.kind, s.muted`
  const twins = `SELECT * FROM (${foldedKeys({ columns, key: 's.key', from: known })}) WHERE fold IN (SELECT fold FROM ${GONE} WHERE is_sent)`
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE ${COMING} AS
    SELECT * FROM (${twins}) WHERE key NOT IN (SELECT key FROM ${GONE} WHERE is_sent)`)
  // What is passed over stays so, as long as its row is the one that was given up.
  await connection.run(`
    UPDATE found SET settled_kind = greatest(c.kind, ${kind}) FROM ${COMING} c
    WHERE found.key = c.key AND section = ${SETTLED} AND settled_kind = ${PRESENT};
    INSERT INTO found BY NAME
    SELECT ${SETTLED} AS section, key, partition, srid, kind, false AS is_retry,
      EXISTS (SELECT 1 FROM retry r WHERE ${keyToken('r.key')} = c.key AND r.partition = c.partition) AS has_entry,
      muted, false AS newly_muted, ${kind} AS settled_kind, 'state' AS takes
    FROM ${COMING} c WHERE kind = ${PRESENT} AND key NOT IN (SELECT key FROM found)`)
}

/**
 * As what the row of a twin is settled, so that the next run sends it; null if no op sends it, or it may not
 * be sent again.
 */
export function doubtfulKind({ sent, atMostOnce }: Pick<TwinsOf, 'sent' | 'atMostOnce'>): number | null {
  if (atMostOnce) return null
  if (sent.has('changed')) return CONTENT_UNCERTAIN
  return sent.has('added') ? EXISTENCE_UNCERTAIN : null
}
