/**
 * The source of type `postgres`. The text of `COPY (query) TO STDOUT` streams into DuckDB, which parses it,
 * so that no value passes through JavaScript. Query and catalog are read in one read-only snapshot.
 */
import { type Client, DatabaseError } from 'pg'
import type { ModelSpec, PostgresSourceSpec } from '@sluice/contracts/resources'
import { isSluiceError, type SluiceError } from '@sluice/contracts/errors'
import type { Source } from '../port.ts'
import { CopyOut } from './postgres/copy-out.ts'
import { assertColumns } from './query/model-columns.ts'
import { abandon, beginSnapshot, connect, describeStatement, readCatalog } from './postgres/connection.ts'
import { withSelectedTables } from './query/select-from-table.ts'
import { carryPostgres, type PostgresColumn } from './postgres/types.ts'
import { assertBeginsAsQuery, refused, sqlOf } from './query/read-only-query.ts'
import { DUCKDB_SQL, type SqlDialect } from './query/sql-dialect.ts'
import {
  type RowStream,
  type ServerDialect,
  type ServerSession,
  ServerSource,
  type ServerSourceOptions,
} from './server/source.ts'
import type { SqlPlace } from './duckdb/errors.ts'
import {
  cannotConnect,
  connectionLost,
  queryFailed,
  refusesLogin,
  serverMessage,
  type ServerNames,
  tookTooLong,
} from './server/errors.ts'

/** The server refuses a session with this user, database or password. */
const LOGIN = /^(28|3D000|42501)/
/** The password is wrong, or the user. */
const PASSWORD = /^28P?0/
/** No such table or schema. */
const MISSING = /^(42P01|3F000)/
/** The login lacks a right. */
const CLOSED = '42501'
/** The session is over or could not begin: connection exceptions, shutdown, crash. */
const OVER = /^(08|57P0[1-5])/
/** The query was cancelled, by statement_timeout among others. */
const CANCELLED = '57014'
/** Trying again may help: serialization failure (a standby's conflict), deadlock, lack of a resource. */
const RETRYABLE = /^(40|53|55P03)/

/**
 * Translates an error of PostgreSQL while the connection is opened. Its codes:
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function connectError(error: unknown, names: ServerNames): SluiceError {
  if (isSluiceError(error)) return error
  if (error instanceof DatabaseError && LOGIN.test(error.code ?? ''))
    return refusesLogin(error, names, PASSWORD.test(error.code ?? '') ? 'wrong' : undefined)
  if (error instanceof Error && /does not support SSL/.test(error.message))
    return refusesLogin(new Error('it does not take encrypted connections, and `tls` is set'), names)
  // pg says this if the server asks for a password and the source has none.
  if (error instanceof Error && /client password must be a (non-empty )?string/.test(error.message))
    return refusesLogin(new Error('it asks for a password, and `password` is not set'), names)
  return cannotConnect(error, names)
}

export interface PostgresFailure {
  readonly model: ModelSpec
  readonly timeoutMs: number | null
  /** The model's SQL as it was sent. */
  readonly sql: string
  /** The number of Sluice's characters before it. */
  readonly charactersBefore: number
}

/** Translates an error while a query runs. */
export function queryError(error: unknown, names: ServerNames, failure: PostgresFailure): SluiceError {
  const { model, timeoutMs } = failure
  if (isSluiceError(error)) return error
  if (!(error instanceof DatabaseError)) return connectionLost(error, names, model)
  const code = error.code ?? ''
  if (OVER.test(code)) return connectionLost(error, names, model)
  if (code === CANCELLED && timeoutMs !== null && /statement timeout/.test(error.message))
    return tookTooLong(error, names, { model, timeoutMs })
  const hint = error.hint === undefined ? '' : ` (${serverMessage(error.hint, names)})`
  return queryFailed(error, names, {
    model,
    place: placeOf(error.position, failure),
    reason: `${serverMessage(error, names)}${hint}`,
    advice: MISSING.test(code) ? 'missing' : code === CLOSED ? 'closed' : undefined,
    retryable: RETRYABLE.test(code),
  })
}

/** Finds the place of a position. PostgreSQL counts characters of the whole statement, from 1. */
function placeOf(position: string | undefined, { sql, charactersBefore }: PostgresFailure): SqlPlace | null {
  const offset = Number(position) - 1 - charactersBefore
  const characters = Array.from(sql)
  if (!(offset >= 0) || offset > characters.length) return null
  const lines = characters.slice(0, offset).join('').split('\n')
  return { line: lines.length, column: Array.from(lines.at(-1) ?? '').length + 1 }
}

/** Predefined roles that reach beyond the database. */
const ROLES = [
  'pg_execute_server_program',
  'pg_read_server_files',
  'pg_write_server_files',
  'pg_write_all_data',
  'pg_signal_backend',
]
const WRITES = 'INSERT, UPDATE, DELETE, TRUNCATE'

/** Returns phrases such as `is a superuser`; none if the login can only read. Rejects with pg's error. */
export async function excessRights(client: Client): Promise<readonly string[]> {
  const { rows } = await client.query<{
    super: boolean
    roles: readonly string[]
    tables: readonly string[]
  }>(
    `SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) AS super,
       ARRAY(SELECT rolname::text FROM pg_catalog.pg_roles
         WHERE rolname = ANY($1) AND pg_catalog.pg_has_role(oid, 'MEMBER') ORDER BY 1) AS roles,
       ARRAY(SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname !~ '^(pg_|information_schema$)'
           AND pg_catalog.has_table_privilege(c.oid, '${WRITES}') ORDER BY 1 LIMIT 3) AS tables`,
    [ROLES],
  )
  const [found] = rows
  if (found === undefined) return []
  // A superuser has all other rights, too.
  if (found.super) return ['is a superuser']
  return [
    ...found.roles.map(role => `is a member of ${role}`),
    ...(found.tables.length === 0 ? [] : [`may write to tables such as ${found.tables.join(', ')}`]),
  ]
}

export const POSTGRES_SQL: SqlDialect = {
  ...DUCKDB_SQL,
  firstWords: ['select', 'with', 'values', 'table'],
}

type Session = ServerSession<Client>

/** A query that was checked to only read, with its columns. */
interface Prepared {
  readonly sql: string
  readonly columns: readonly PostgresColumn[]
}

const POSTGRES: ServerDialect<Client, Prepared> = {
  product: 'PostgreSQL',
  sql: POSTGRES_SQL,
  connect,
  begin: (client, { timeoutMs }) => beginSnapshot(client, timeoutMs),
  prepare,
  excessRights,
  streamRows,
  commit: async client => void (await client.query('COMMIT')),
  destroy: client => void client.connection.stream.destroy(),
  abandon,
  end: client => client.end().catch(() => undefined),
  connectError,
  queryError: (error, names, query) => queryError(error, names, { ...query, sql: '', charactersBefore: 0 }),
}

/** A source in a PostgreSQL database. Queries may run concurrently, each on a connection of its own. */
export function createPostgresSource(options: ServerSourceOptions<PostgresSourceSpec>): Source {
  return withSelectedTables(new ServerSource(options, POSTGRES), options.memoryBytes)
}

/** A source that reads a snapshot which another connection has exported. */
export function createSnapshotSource(
  options: ServerSourceOptions<PostgresSourceSpec>,
  snapshot: string,
): Source {
  return new ServerSource(options, {
    ...POSTGRES,
    begin: (client, { timeoutMs }) => beginSnapshot(client, timeoutMs, snapshot),
  })
}

/** Checks that the model's SQL is one query that only reads, and finds its columns, without running it. */
async function prepare(session: Session, model: ModelSpec): Promise<Prepared> {
  const { connection: client, access, names, signal } = session
  const sql = sqlOf(model, POSTGRES_SQL)
  assertBeginsAsQuery(model, sql, POSTGRES_SQL)
  const failure = { model, timeoutMs: access.timeoutMs, sql, charactersBefore: 0 }
  const translated = <T>(work: Promise<T>, own: PostgresFailure = failure): Promise<T> =>
    work.catch((error: unknown) => {
      signal.throwIfAborted()
      if (/cannot insert multiple commands/.test(String(error)))
        throw refused(model, 'it is several statements')
      throw queryError(error, names, own)
    })
  const described = await translated(describeStatement(client, sql))
  if (described.parameters > 0) throw refused(model, 'it has parameters, for which there are no values')
  if (described.columns === null) throw refused(model, 'it is a statement that gives no rows')
  assertColumns(model, described.columns)
  const catalog = await translated(readCatalog(client, described.columns))
  const columns = described.columns.map(column => carryPostgres(column, catalog))
  // PostgreSQL's parser makes sure that a subquery only reads.
  const { text, charactersBefore } = selection(sql, columns)
  await translated(describeStatement(client, text), { ...failure, charactersBefore })
  return { sql, columns }
}

/** Wraps the model's query in a query that prints the columns in the form in which they are sent. */
function selection(
  sql: string,
  columns: readonly PostgresColumn[],
): { readonly text: string; readonly charactersBefore: number } {
  const names = columns.map((_, index) => `c${index}`)
  const values = columns.map(({ select }, index) => select(`c${index}`))
  // DuckDB ignores an empty line. So a row of one column gets a second column.
  if (values.length === 1) values.push('1')
  const before = `SELECT ${values.join(', ')} FROM (\n`
  return {
    text: `${before}${sql}\n) AS query(${names.join(', ')})`,
    charactersBefore: Array.from(before).length,
  }
}

function streamRows(session: Session, model: ModelSpec, { sql, columns }: Prepared): RowStream {
  const { connection: client, access, names } = session
  const { text, charactersBefore } = selection(sql, columns)
  const begin = 'COPY ('
  const rows = client.query(new CopyOut(`${begin}${text}\n) TO STDOUT`))
  const failure = { model, timeoutMs: access.timeoutMs, sql }
  return {
    text: rows,
    sentRows: () => rows.rowCount,
    failureOf: error =>
      queryError(error, names, { ...failure, charactersBefore: charactersBefore + begin.length }),
  }
}
