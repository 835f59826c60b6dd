/**
 * A table that is followed: what PostgreSQL's log tells of it, and whether it tells enough. Each statement
 * runs on a connection for replication, so none has parameters.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { primaryKeyOf } from '@sluice/domain/definition'
import type { Client } from 'pg'
import { quoteIdentifier } from '../duckdb/types.ts'
import { ChangesQuery, type ChangesColumn } from '../query/changes-query.ts'
import { modelCalled } from '../query/model-columns.ts'
import { tableOf } from '../query/read-only-query.ts'
import type { SqlDialect } from '../query/sql-dialect.ts'
import { readCatalog } from './connection.ts'
import { carryPostgres, type DescribedColumn, type PostgresColumn } from './types.ts'

export interface FollowedTable {
  readonly id: number
  /** The version of the server, as `server_version_num`. */
  readonly version: number
  readonly database: { readonly id: number; readonly name: string }
  /** As SQL names it. */
  readonly name: string
  readonly schema: string
  readonly table: string
  readonly owner: string
  readonly isOwned: boolean
  readonly isPartitioned: boolean
  /** In the order of the table, without generated columns, which the log does not tell. */
  readonly columns: readonly FollowedColumn[]
  /** The columns of the model's key, as the table names them. */
  readonly primaryKey: readonly string[]
  /** Columns whose values an entry may lack, since they have not changed. */
  readonly mayLack: readonly string[]
  /**
   * Columns that the identity of each of its rows has to have: those of the key, and those that no entry may
   * lack.
   */
  readonly identity: readonly string[]
  /** The model's SQL over the changes; null for a model of the table itself. The caller disposes it. */
  readonly query: ChangesQuery | null
}

export interface FollowedColumn extends PostgresColumn {
  readonly described: DescribedColumn
  /** The name of its type in SQL. */
  readonly typeName: string
}

/** PostgreSQL's oldest version that is tried: it can wait for the end of another session. */
const MIN_VERSION = 140_000

interface TableFacts {
  readonly id: number
  readonly schema: string
  readonly table: string
  readonly kind: string
  readonly persistence: string
  /** It has rows in tables that inherit from it, and are no partitions. */
  readonly isInherited: boolean
  /** Policies hide rows from the login. */
  readonly isSecured: boolean
  readonly owner: string
  readonly owns: boolean
  readonly version: number
  readonly databaseId: number
  readonly databaseName: string
}

interface ColumnFacts extends DescribedColumn {
  readonly type: string
  readonly generated: string
  readonly movable: boolean
}

interface IdentityFacts {
  readonly table: string
  readonly persistence: string
  readonly identity: string
  /** The columns of the index that tells rows apart in the log; null if there is none. */
  readonly columns: readonly string[] | null
}

/**
 * Finds the table of a model, its columns and its key. Rejects with `config` if the log would not tell enough
 * of it: with an identity that lacks the key, for example. That check comes before anything is published,
 * since PostgreSQL refuses to change rows of a published table without an identity.
 */
export async function findTable(
  client: Client,
  model: ModelSpec,
  { source, dialect }: { readonly source: string; readonly dialect: SqlDialect },
): Promise<FollowedTable> {
  if (model.table === undefined) throw wrongModel(model, 'table', 'a table that is followed, as `table`')
  const name = tableOf(model, dialect)
  const facts = await tableFacts(client, name)
  if (facts === null) {
    const message = `The table ${model.table} of ${modelCalled(model.name)} does not exist in source ${source}, or its login may not see it.`
    throw new SluiceError('query', message, { details: [{ field: 'table', message }] })
  }
  const { id, schema, table, owner } = facts
  const fault = (what: string): SluiceError =>
    new SluiceError('config', `Source ${source}: the table ${name} cannot be followed: ${what}.`)
  const isPartitioned = facts.kind === 'p'
  assertLogged(facts, fault)
  const listed = await columnFacts(client, id)
  const shown = listed.filter(({ generated }) => generated === '')
  const catalog = await readCatalog(client, shown)
  const columns = shown.map(({ name: column, typeId, modifier, type }): FollowedColumn => {
    const described = { name: column, typeId, modifier }
    return { ...carryPostgres(described, catalog), described, typeName: type }
  })
  const query = model.sql === undefined ? null : await ChangesQuery.open(model, columns.map(changesColumn))
  try {
    const primaryKey = primaryKeyOf(model).map(name => (query === null ? name : tableKey(model, query, name)))
    assertKey(columns, primaryKey, model)
    const identities = await identityFacts(client, id)
    for (const identity of identities) assertIdentity(identity, { primaryKey, owner, fault })
    await assertUnique(client, { id, primaryKey, fault })
    const movable = shown.filter(column => column.movable).map(column => column.name)
    const told = movable.filter(column => identities.every(identity => tells(identity, column)))
    const mayLack = movable.filter(column => !told.includes(column))
    const unknown = query === null ? undefined : mayLack.find(column => query.reads.reads(column))
    if (unknown !== undefined)
      throw fault(
        `its log may leave out values that have not changed, and \`sql\` reads "${unknown}": as ${owner}, run ALTER TABLE ${name} REPLICA IDENTITY FULL`,
      )
    const isOwned = facts.owns
    const database = { id: facts.databaseId, name: facts.databaseName }
    const lacks = query === null ? mayLack : []
    return {
      id,
      version: facts.version,
      database,
      name,
      schema,
      table,
      owner,
      isOwned,
      isPartitioned,
      columns,
      primaryKey,
      mayLack: lacks,
      identity: [...new Set([...primaryKey, ...told])],
      query,
    }
  } catch (error) {
    await query?.[Symbol.asyncDispose]()
    throw error
  }
}

/** The log tells the rows of a query on the table, and no others. */
function assertLogged(facts: TableFacts, fault: Fault): void {
  const { version, kind, persistence, isInherited, isSecured } = facts
  if (version < MIN_VERSION) throw fault('that takes PostgreSQL 14 or later')
  if (kind !== 'p' && kind !== 'r')
    throw fault('only a table has changes in the log, and this is a view or something else')
  if (persistence !== 'p') throw fault('it is unlogged or temporary, and so not in the log')
  if (isInherited && kind !== 'p')
    throw fault('it has rows in tables that inherit from it, which the log tells as rows of these')
  if (isSecured)
    throw fault(
      'row-level security hides rows of it from the login, and the log tells all of them: as a superuser, run ALTER ROLE … BYPASSRLS for the login',
    )
}

/** The text of a value is escaped, as in the rows of a query. */
function changesColumn({ name, type, readAs, value }: FollowedColumn): ChangesColumn {
  return {
    name,
    type,
    value: text => value(readAs === 'VARCHAR' ? text : `CAST(${text} AS ${readAs})`),
  }
}

/** The column of the table that a column of the key is. The log tells of a removed row no other values. */
function tableKey(model: ModelSpec, { reads }: ChangesQuery, name: string): string {
  const column = reads.unchanged(name)
  if (column !== null) return column
  throw wrongModel(
    model,
    'primaryKey',
    `a column of the table that \`sql\` gives as it is, found \`${name}\``,
  )
}

function wrongModel({ name }: ModelSpec, field: string, wanted: string): SluiceError {
  return new SluiceError('config', `Model ${name}: wanted ${wanted}.`, {
    details: [{ field, message: `wanted ${wanted}` }],
  })
}

async function tableFacts(client: Client, name: string): Promise<TableFacts | null> {
  const { rows } = await client.query<TableFacts>(
    `SELECT c.oid::int8::float8 AS id, n.nspname::text AS schema, c.relname::text AS table, c.relkind::text AS kind,
       c.relpersistence::text AS persistence, pg_catalog.row_security_active(c.oid) AS "isSecured",
       EXISTS (SELECT 1 FROM pg_catalog.pg_inherits WHERE inhparent = c.oid) AS "isInherited",
       pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owns,
       pg_catalog.current_setting('server_version_num')::int AS version,
       (SELECT oid::int8::float8 FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) AS "databaseId",
       pg_catalog.current_database()::text AS "databaseName"
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = pg_catalog.to_regclass(${client.escapeLiteral(name)})`,
  )
  return rows[0] ?? null
}

async function columnFacts(client: Client, id: number): Promise<readonly ColumnFacts[]> {
  const { rows } = await client.query<ColumnFacts>(
    `SELECT attname::text AS name, atttypid::int8::float8 AS "typeId", atttypmod AS modifier,
       pg_catalog.format_type(atttypid, NULL) AS type, attgenerated::text AS generated,
       attlen = -1 AND (SELECT typstorage FROM pg_catalog.pg_type WHERE oid = atttypid) <> 'p' AS movable
     FROM pg_catalog.pg_attribute WHERE attrelid = ${id} AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
  )
  return rows
}

/**
 * Returns a text that changes with each change of the table's columns, even one that leaves their names and
 * types: `ALTER COLUMN … TYPE … USING` changes all values, and none of that is in the log.
 */
export async function columnsState(client: Client, id: number): Promise<string> {
  const { rows } = await client.query<{ state: string }>(
    `SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', attnum, atttypid, atttypmod, xmin, attname), ',' ORDER BY attnum) AS state
     FROM pg_catalog.pg_attribute WHERE attrelid = ${id} AND attnum > 0 AND NOT attisdropped`,
  )
  return rows[0]?.state ?? ''
}

/** The identity of each table in which the rows stand: of each partition, if there are some. */
async function identityFacts(client: Client, id: number): Promise<readonly IdentityFacts[]> {
  const { rows } = await client.query<IdentityFacts>(
    `SELECT c.oid::regclass::text AS table, c.relreplident::text AS identity, c.relpersistence::text AS persistence,
       (SELECT pg_catalog.array_agg(a.attname::text) FROM pg_catalog.pg_index i
          JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
          AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END) AS columns
     FROM pg_catalog.pg_class c WHERE c.oid = ${id} AND c.relkind <> 'p'
       OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(${id}) WHERE isleaf AND relid <> ${id})
     ORDER BY 1`,
  )
  return rows
}

function assertKey(
  columns: readonly FollowedColumn[],
  primaryKey: readonly string[],
  model: ModelSpec,
): void {
  for (const name of primaryKey) {
    const column = columns.find(each => each.name === name)
    if (column === undefined) {
      const found = columns.map(each => each.name).join(', ')
      throw wrongModel(
        model,
        'primaryKey',
        `a column of the table, found \`${name}\`; its columns are ${found}`,
      )
    }
    if (NO_KEYS.has(column.type.kind))
      throw wrongModel(model, 'primaryKey', `a key that is no ${column.type.kind}, found \`${name}\``)
  }
}

/** Kinds whose texts differ between the log and a comparison. */
const NO_KEYS: ReadonlySet<string> = new Set(['float', 'double', 'list', 'struct', 'json'])

type Fault = (what: string) => SluiceError

function tells({ identity, columns }: IdentityFacts, column: string): boolean {
  return identity === 'f' || columns?.includes(column) === true
}

function assertIdentity(
  { table, identity, columns, persistence }: IdentityFacts,
  {
    primaryKey,
    owner,
    fault,
  }: { readonly primaryKey: readonly string[]; readonly owner: string; readonly fault: Fault },
): void {
  if (persistence !== 'p') throw fault(`its partition ${table} is unlogged, and so not in the log`)
  if (identity === 'f') return
  const full = `as ${owner}, run ALTER TABLE ${table} REPLICA IDENTITY FULL`
  if (columns === null)
    throw fault(
      `nothing in the log would tell the rows of ${table} apart, so that PostgreSQL would refuse to change them: ${full}, or give it a primary key`,
    )
  const untold = primaryKey.filter(name => !columns.includes(name))
  if (untold.length > 0)
    throw fault(
      `for rows that are removed from ${table} the log tells ${columns.join(', ')} alone, and \`primaryKey\` has ${untold.join(', ')}: ${full}`,
    )
}

/** Of two rows with one key, a removal of one would read as a removal of both. */
async function assertUnique(
  client: Client,
  {
    id,
    primaryKey,
    fault,
  }: { readonly id: number; readonly primaryKey: readonly string[]; readonly fault: Fault },
): Promise<void> {
  const names = primaryKey.map(name => client.escapeLiteral(name)).join(', ')
  const { rows } = await client.query(
    `SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = ${id} AND i.indisunique AND i.indisvalid AND i.indimmediate
       AND i.indpred IS NULL AND i.indexprs IS NULL
       AND NOT EXISTS (SELECT 1 FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS place
         JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[place]
         WHERE a.attname::text <> ALL (ARRAY[${names}])) LIMIT 1`,
  )
  if (rows.length > 0) return
  const key = primaryKey.map(quoteIdentifier).join(', ')
  throw fault(
    `no unique index makes sure that no two rows have the same \`primaryKey\`; one such is CREATE UNIQUE INDEX ON its table (${key})`,
  )
}
