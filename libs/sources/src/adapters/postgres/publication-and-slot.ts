/** The publication and the replication slot by which a table is followed. */
import { SluiceError } from '@sluice/contracts/errors'
import { type Client, DatabaseError } from 'pg'
import { quoteIdentifier } from '../duckdb/types.ts'
import type { FollowedTable } from './followed-table.ts'
import { lsnOf } from './pgoutput.ts'

export interface FollowNames {
  readonly publication: string
  readonly slot: string
  /** The name of the source, for messages. */
  readonly source: string
  /** The login, for messages. */
  readonly user: string
}

export interface Publication {
  /**
   * Changes with each change of the publication, and of the table's place in it. Entries between two changes
   * may be missing from the log for this publication.
   */
  readonly id: string
}

export interface Slot {
  /** What the server may have forgotten already. */
  readonly flushed: bigint
  /** Why it is of no use any more; null if it is. */
  readonly lost: string | null
}

/** A session that serves a large transaction takes a moment to end. */
const TAKEOVER_MS = 5_000
const PAUSE_MS = 10
/** The advisory locks of slots have this number, and that of the slot's name. */
const LOCKS = 1_936_487_795

/** The first version whose publications have whole schemas. */
const SCHEMAS_VERSION = 150_000

/** The mark of a publication that is dropped with its sync. */
const MADE = 'Made by Sluice, which drops it with its sync.'

interface PublicationFacts {
  readonly id: number
  readonly owns: boolean
  readonly via_root: boolean
  readonly ops: boolean
  /** The transaction that changed it last. Freezing keeps the number. */
  readonly changed: string
  /** The entries by which the table is in it; empty if all tables are. */
  readonly places: string
  readonly told: { readonly attnames?: readonly string[] | null; readonly rowfilter?: string | null } | null
}

/**
 * Returns null if there is no publication with the table. Rejects with `config` for one that tells too
 * little.
 */
export async function findPublication(
  client: Client,
  names: FollowNames,
  table: FollowedTable,
): Promise<Publication | null> {
  const facts = await publicationFacts(client, names, table)
  if (facts === null) return null
  const fault = (what: string, run: string): SluiceError =>
    new SluiceError(
      'config',
      `Source ${names.source}: the publication ${names.publication} ${what}: as its owner, run ${run}, or name another one in \`follow\`.`,
    )
  if (!facts.ops)
    throw fault(
      'leaves out inserts, updates, deletes or truncates',
      `ALTER PUBLICATION ${names.publication} SET (publish = 'insert, update, delete, truncate')`,
    )
  if (table.isPartitioned && !facts.via_root)
    throw fault(
      `names the partitions of ${table.name} in place of the table`,
      `ALTER PUBLICATION ${names.publication} SET (publish_via_partition_root = true)`,
    )
  const { told } = facts
  if (told === null) return null
  const missing = table.columns.filter(({ name }) => told.attnames?.includes(name) === false)
  if (missing.length > 0 || (told.rowfilter ?? null) !== null)
    throw fault(
      `leaves out rows or columns of ${table.name}`,
      `ALTER PUBLICATION ${names.publication} SET TABLE ${table.name}`,
    )
  return { id: [facts.id, facts.changed, facts.places].join('.') }
}

async function publicationFacts(
  client: Client,
  { publication }: FollowNames,
  { id, schema, table, version }: FollowedTable,
): Promise<PublicationFacts | null> {
  // The rows of a partition are told as those of its parent, if that is in the publication.
  const relations = `SELECT ${id} UNION SELECT relid FROM pg_catalog.pg_partition_ancestors(${id})`
  const inTables = `SELECT r.oid FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid IN (${relations})`
  const inSchemas = `SELECT n.oid FROM pg_catalog.pg_publication_namespace n WHERE n.pnpubid = p.oid
    AND n.pnnspid IN (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid IN (${relations}))`
  const places = version < SCHEMAS_VERSION ? inTables : `${inTables} UNION ${inSchemas}`
  const { rows } = await client.query<PublicationFacts>(
    `SELECT p.oid::int8::float8 AS id, pg_catalog.pg_has_role(p.pubowner, 'USAGE') AS owns, p.pubviaroot AS via_root,
       p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AS ops,
       p.xmin::text AS changed,
       (SELECT coalesce(pg_catalog.string_agg(oid::text, '+' ORDER BY oid), '') FROM (${places}) AS place) AS places,
       (SELECT pg_catalog.to_jsonb(t) FROM pg_catalog.pg_publication_tables t WHERE t.pubname = p.pubname
          AND t.schemaname = ${client.escapeLiteral(schema)} AND t.tablename = ${client.escapeLiteral(table)}) AS told
     FROM pg_catalog.pg_publication p WHERE p.pubname = ${client.escapeLiteral(publication)}`,
  )
  return rows[0] ?? null
}

/** Makes the publication, or adds the table to it, unless that is done. */
export async function ensurePublication(
  client: Client,
  names: FollowNames,
  table: FollowedTable,
): Promise<Publication> {
  const { publication, source, user } = names
  const found = await findPublication(client, names, table)
  if (found !== null) return found
  const facts = await publicationFacts(client, names, table)
  const quoted = quoteIdentifier(publication)
  const make = `CREATE PUBLICATION ${quoted} FOR TABLE ${table.name} WITH (publish_via_partition_root = true)`
  const add = `ALTER PUBLICATION ${quoted} ADD TABLE ${table.name}`
  const run =
    facts === null ? `${make}; COMMENT ON PUBLICATION ${quoted} IS ${client.escapeLiteral(MADE)}` : add
  try {
    await client.query(run)
  } catch (error) {
    if (codeOf(error) !== NOT_PERMITTED) throw error
    const why = table.isOwned
      ? facts === null
        ? `it may make no publication. As the owner of the database, run GRANT CREATE ON DATABASE ${table.database.name} TO ${user}, or run ${make}`
        : `the publication ${publication} is not its own. As its owner, run ${add}`
      : `the table ${table.name} is not its own. As ${table.owner}, who owns it, run ${facts === null ? make : add}`
    throw new SluiceError('config', `Source ${source}: the login ${user} cannot publish changes: ${why}.`, {
      cause: error,
    })
  }
  const made = await findPublication(client, names, table)
  if (made === null)
    throw new SluiceError('internal', `the publication ${publication} has no table ${table.name}`)
  return made
}

interface SlotFacts {
  readonly plugin: string | null
  readonly slot_type: string
  readonly database: string | null
  readonly confirmed_flush_lsn: string | null
  readonly wal_status?: string | null
  readonly conflicting?: boolean | null
  readonly invalidation_reason?: string | null
}

/** Returns null if there is no slot. Rejects with `config` for a slot of another kind. */
export async function findSlot(client: Client, { slot, source }: FollowNames): Promise<Slot | null> {
  const { rows } = await client.query<{ facts: SlotFacts; here: string }>(
    `SELECT pg_catalog.to_jsonb(s) AS facts, pg_catalog.current_database() AS here
     FROM pg_catalog.pg_replication_slots s WHERE slot_name = ${client.escapeLiteral(slot)}`,
  )
  const [found] = rows
  if (found === undefined) return null
  const { facts, here } = found
  if (facts.slot_type !== 'logical' || facts.plugin !== 'pgoutput' || facts.database !== here)
    throw new SluiceError(
      'config',
      `Source ${source}: the replication slot ${slot} is of another database or plugin: wanted one of pgoutput and ${here}. Name another one as \`slot\` in \`follow\`.`,
    )
  const isLost =
    facts.wal_status === 'lost' || facts.conflicting === true || (facts.invalidation_reason ?? null) !== null
  return {
    flushed: facts.confirmed_flush_lsn === null ? 0n : lsnOf(facts.confirmed_flush_lsn),
    lost: isLost ? `PostgreSQL has invalidated the replication slot ${slot}` : null,
  }
}

/** Makes the slot, anew if it is lost. The publication has to be there before. */
export async function ensureSlot(client: Client, names: FollowNames): Promise<void> {
  const { slot, source } = names
  const found = await findSlot(client, names)
  if (found !== null && found.lost === null) return
  await assertLogical(client, source)
  const name = client.escapeLiteral(slot)
  if (found !== null)
    await onceFree(client, () => client.query(`SELECT pg_catalog.pg_drop_replication_slot(${name})`))
  try {
    await client.query(`SELECT 1 FROM pg_catalog.pg_create_logical_replication_slot(${name}, 'pgoutput')`)
  } catch (error) {
    throw noSlot(error, names)
  }
}

/** Rejects with `config` if the slot cannot be made, or is of another kind. Makes none. */
export async function assertSlotPossible(client: Client, names: FollowNames): Promise<void> {
  const found = await findSlot(client, names)
  await assertLogical(client, names.source)
  const { rows } = await client.query<{ left: number }>(
    `SELECT (pg_catalog.current_setting('max_replication_slots')::int - count(*))::int AS left FROM pg_catalog.pg_replication_slots`,
  )
  // A comparison takes a second one.
  if ((rows[0]?.left ?? 0) < (found === null ? 2 : 1)) throw noneLeft(names.source)
}

async function assertLogical(client: Client, source: string): Promise<void> {
  const { rows } = await client.query<{ level: string }>(
    `SELECT pg_catalog.current_setting('wal_level') AS level`,
  )
  if (rows[0]?.level !== 'logical')
    throw new SluiceError(
      'config',
      `Source ${source}: PostgreSQL keeps no log that can be followed (wal_level is ${rows[0]?.level ?? 'unknown'}): as a superuser, run ALTER SYSTEM SET wal_level = logical, and restart the server.`,
    )
}

/**
 * Makes this session the one that may read through the slot, until it ends. Another session of Sluice that
 * does is ended: a sync has one owner, and that session is its predecessor's, which finds the lock taken when
 * it connects anew.
 */
export async function takeSlot(client: Client, { slot }: FollowNames): Promise<void> {
  const name = client.escapeLiteral(slot)
  await client.query(
    `SET lock_timeout = ${TAKEOVER_MS};
     SELECT pg_catalog.pg_terminate_backend(s.active_pid)
     FROM pg_catalog.pg_replication_slots s JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
     WHERE s.slot_name = ${name} AND a.application_name = 'sluice';
     SELECT pg_catalog.pg_advisory_lock(${LOCKS}, pg_catalog.hashtext(${name}))`,
  )
}

/** Rejects with `unreachable` if another session has taken the slot meanwhile. */
export async function keepSlot(client: Client, { slot, source }: FollowNames): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>(
    `SELECT pg_catalog.pg_try_advisory_lock(${LOCKS}, pg_catalog.hashtext(${client.escapeLiteral(slot)})) AS taken`,
  )
  if (rows[0]?.taken === true) return
  throw new SluiceError(
    'unreachable',
    `Source ${source}: another reader has taken the replication slot ${slot}. A slot serves one sync of one installation.`,
    { retryable: true },
  )
}

/** Runs `work` once the session that had the slot has let go of it, which takes it a moment. */
export async function onceFree<T>(client: Client, work: () => Promise<T>): Promise<T> {
  for (let left = TAKEOVER_MS / PAUSE_MS; ; left -= 1)
    try {
      return await work()
    } catch (error) {
      if (codeOf(error) !== IN_USE || left <= 0) throw error
      await client.query(`SELECT pg_catalog.pg_sleep(${PAUSE_MS / 1000})`)
    }
}

/** Gives up the slot, and the publication if Sluice has made it. */
export async function releaseAll(client: Client, names: FollowNames): Promise<void> {
  const { publication, slot } = names
  const name = client.escapeLiteral(slot)
  await takeSlot(client, names)
  await onceFree(client, () =>
    client.query(
      `SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots
       WHERE slot_name = ${name} AND database = pg_catalog.current_database()`,
    ),
  )
  const { rows } = await client.query(
    `SELECT 1 FROM pg_catalog.pg_publication p WHERE pubname = ${client.escapeLiteral(publication)}
       AND pg_catalog.obj_description(p.oid, 'pg_publication') = ${client.escapeLiteral(MADE)}`,
  )
  if (rows.length > 0) await client.query(`DROP PUBLICATION IF EXISTS ${quoteIdentifier(publication)}`)
}

export interface ExportedSnapshot {
  /** All transactions that were committed before it are in the snapshot, and no others. */
  readonly lsn: bigint
  readonly name: string
}

/** Makes a temporary slot, whose snapshot other connections may read until this one runs something else. */
export async function exportSnapshot(
  client: Client,
  names: FollowNames,
  temporary: string,
): Promise<ExportedSnapshot> {
  try {
    const { rows } = await client.query<{ consistent_point: string; snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT "${temporary}" TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT`,
    )
    const [made] = rows
    if (made === undefined) throw new SluiceError('corrupt', 'PostgreSQL has exported no snapshot')
    return { lsn: lsnOf(made.consistent_point), name: made.snapshot_name }
  } catch (error) {
    throw noSlot(error, names)
  }
}

/** The slot has a reader. */
const IN_USE = '55006'
const NOT_PERMITTED = '42501'
const NONE_LEFT = '53400'

function codeOf(error: unknown): string {
  return error instanceof DatabaseError ? (error.code ?? '') : ''
}

function noSlot(error: unknown, { source, user }: FollowNames): unknown {
  if (codeOf(error) === NONE_LEFT) return noneLeft(source, error)
  return codeOf(error) === NOT_PERMITTED ? lacksReplication(error, source, user) : error
}

function noneLeft(source: string, cause?: unknown): SluiceError {
  const message = `Source ${source}: PostgreSQL has no replication slot left, and a comparison takes a second one for a while: as a superuser, run ALTER SYSTEM SET max_replication_slots = … with a higher number, and restart the server, or drop a slot that nobody uses (SELECT * FROM pg_replication_slots).`
  return new SluiceError('config', message, { cause })
}

/** The error for a login that may not read the log. */
export function lacksReplication(error: unknown, source: string, user: string): SluiceError {
  const message = `Source ${source}: the login ${user} may not read the log: as a superuser, run ALTER ROLE ${user} REPLICATION (on Amazon RDS: GRANT rds_replication TO ${user}).`
  return new SluiceError('config', message, { cause: error })
}
