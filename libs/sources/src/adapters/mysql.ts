/** The source of type `mysql`: MySQL and MariaDB. The server prints the rows as text, and DuckDB reads it. */
import type { Connection } from 'mysql2'
import { SluiceError, isSluiceError } from '@sluice/contracts/errors'
import type { ModelSpec, MysqlSourceSpec } from '@sluice/contracts/resources'
import type { Source } from '../port.ts'
import { assertColumns, modelCalled } from './query/model-columns.ts'
import { abandon, beginSnapshot, connect, describeStatement, destroy, end, run } from './mysql/connection.ts'
import { rowsAsText } from './mysql/rows.ts'
import { carryMysql, type MysqlColumn } from './mysql/types.ts'
import { assertBeginsAsQuery, assertOneStatement, refused, sqlOf } from './query/read-only-query.ts'
import { placeAt, placeOfName } from './query/name-place.ts'
import type { SqlDialect } from './query/sql-dialect.ts'
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

/**
 * The server refuses the login: access denied, no such database, host not allowed, no common authentication
 * method.
 */
const LOGIN = new Set([1044, 1045, 1049, 1130, 1251, 1698, 3118, 4151])
/** The password is wrong, or the user. */
const PASSWORD = 1045
/** No such table or database. */
const MISSING = new Set([1049, 1146])
/** The login lacks a right: to a database, a table, columns, a routine or a view. */
const CLOSED = new Set([1044, 1142, 1143, 1345, 1370])
/** The session is over: shutdown, connection killed. */
const OVER = new Set([1053, 1079, 1927])
/** The query exceeded max_execution_time of MySQL or max_statement_time of MariaDB. */
const TIMED_OUT = new Set([3024, 1969])
/**
 * Trying again may help: lock wait, deadlock, a table that changed under the snapshot, too many connections.
 */
const RETRYABLE = new Set([1205, 1213, 1412, 1040, 1203, 1226])

const NEAR = " near '"
/** A longer message is not searched for a place. MySQL's own messages have at most 512 characters. */
const MAX_CHARACTERS = 10_000

/** Returns the number of the server's error; null for an error of the connection. */
function numberOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('sqlState' in error) || !('errno' in error)) return null
  return typeof error.errno === 'number' ? error.errno : null
}

/**
 * Translates an error of MySQL or MariaDB while the connection is opened. Their codes:
 * https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html and
 * https://mariadb.com/kb/en/mariadb-error-code-reference/.
 */
export function connectError(error: unknown, names: ServerNames): SluiceError {
  if (isSluiceError(error)) return error
  const number = numberOf(error) ?? 0
  if (LOGIN.has(number)) return refusesLogin(error, names, number === PASSWORD ? 'wrong' : undefined)
  if (error instanceof Error && 'code' in error && error.code === 'HANDSHAKE_NO_SSL_SUPPORT')
    return refusesLogin(new Error('it does not take encrypted connections, and `tls` is set'), names)
  return cannotConnect(error, names)
}

export interface MysqlFailure {
  readonly model: ModelSpec
  readonly timeoutMs: number | null
  /** The model's SQL. */
  readonly sql: string
}

/** Translates an error while a query runs. */
export function queryError(error: unknown, names: ServerNames, failure: MysqlFailure): SluiceError {
  const { model, timeoutMs, sql } = failure
  if (isSluiceError(error)) return error
  const number = numberOf(error)
  if (number === null || OVER.has(number)) return connectionLost(error, names, model)
  if (timeoutMs !== null && TIMED_OUT.has(number)) return tookTooLong(error, names, { model, timeoutMs })
  const reason = serverMessage(error, names)
  return queryFailed(error, names, {
    model,
    place: placeOf(error instanceof Error ? error.message : reason, sql),
    reason,
    advice: MISSING.has(number) ? 'missing' : CLOSED.has(number) ? 'closed' : undefined,
    retryable: RETRYABLE.has(number),
  })
}

/**
 * Finds the place to which a message points. For a syntax error, the server shows the line, and the text from
 * the mistake on. For an unknown name, the place is known if the name occurs only once in the SQL.
 */
function placeOf(message: string, sql: string): SqlPlace | null {
  // No message of MySQL is that long.
  if (message.length > MAX_CHARACTERS) return null
  const near = message.indexOf(NEAR)
  const [end, line] = /' at line (\d{1,9})$/.exec(message) ?? []
  if (near >= 0 && end !== undefined && near + NEAR.length <= message.length - end.length) {
    const text = message.slice(near + NEAR.length, message.length - end.length)
    const lines = sql.split('\n')
    const before = lines.slice(0, Number(line) - 1).reduce((sum, each) => sum + each.length + 1, 0)
    // The text begins with the mistake, which is in that line.
    const at = text === '' ? sql.trimEnd().length : sql.indexOf(text.split('\n')[0] ?? '', before)
    return at < 0 ? { line: Number(line), column: 1 } : placeAt(at, sql)
  }
  const named = /'([^']+)'|\b(?:FUNCTION|PROCEDURE) (\S+)/.exec(message)
  const name = named?.[1] ?? named?.[2]
  if (name === undefined) return null
  return placeOfName(name, sql)
}

/** Rights to read. `EXECUTE` is not among them, since a procedure has the rights of its owner. */
const READING = new Set(['USAGE', 'SELECT', 'SHOW VIEW', 'SHOW DATABASES', 'PROCESS', 'SHOW CREATE ROUTINE'])

/**
 * Returns phrases such as `has FILE on *.*`; none if the login can only read. Rights of a role count if the
 * role is the login's default. Rejects with mysql2's error.
 */
export async function excessRights(connection: Connection): Promise<readonly string[]> {
  const rows = await run(connection, 'SHOW GRANTS')
  return rows.flatMap(([grant]) => excessOf(String(grant)))
}

function excessOf(grant: string): readonly string[] {
  const on = grant.indexOf(' ON ')
  const to = grant.indexOf(' TO ', on)
  if (!grant.startsWith('GRANT ') || on < 0 || to < 0) return []
  const [list, place] = [grant.slice('GRANT '.length, on), grant.slice(on + ' ON '.length, to)]
  // `SELECT (a, b)` is a right to columns.
  const rights = list.replaceAll(/ ?\([^()]*\)/g, '').split(', ')
  const excess = rights.filter(right => right !== '' && !READING.has(right.toUpperCase()))
  return excess.length === 0 ? [] : [`has ${excess.join(', ')} on ${place}`]
}

const MYSQL_SQL: SqlDialect = {
  syntax: 'mysql',
  quote: name => `\`${name.replaceAll('`', '``')}\``,
  firstWords: ['select', 'with', 'values', 'table'],
}

type Session = ServerSession<Connection>

/** A query that was checked to only read, with its columns. */
interface Prepared {
  readonly sql: string
  readonly columns: readonly MysqlColumn[]
}

const MYSQL: ServerDialect<Connection, Prepared> = {
  product: 'MySQL',
  sql: MYSQL_SQL,
  connect,
  begin: (connection, { timeoutMs }) => beginSnapshot(connection, timeoutMs),
  prepare,
  excessRights,
  streamRows,
  commit: async connection => void (await run(connection, 'COMMIT')),
  destroy,
  abandon,
  end,
  connectError,
  queryError: (error, names, query) => queryError(error, names, { ...query, sql: '' }),
}

/** A source in MySQL or MariaDB. Queries may run concurrently, each on a connection of its own. */
export function createMysqlSource(options: ServerSourceOptions<MysqlSourceSpec>): Source {
  return new ServerSource(options, MYSQL)
}

async function prepare(session: Session, model: ModelSpec): Promise<Prepared> {
  const { connection, access, names, signal } = session
  const sql = sqlOf(model, MYSQL_SQL)
  assertBeginsAsQuery(model, sql, MYSQL_SQL)
  assertOneStatement(model, sql, MYSQL_SQL)
  const describe = (text: string) =>
    describeStatement(connection, text).catch((error: unknown) => {
      signal.throwIfAborted()
      throw queryError(error, names, { model, timeoutMs: access.timeoutMs, sql })
    })
  const { fields, parameters } = await describe(sql)
  if (parameters > 0) throw refused(model, 'it has parameters, for which there are no values')
  assertColumns(model, fields)
  // A subquery can only read. For example, INTO OUTFILE is not allowed there.
  await describe(`SELECT * FROM (\n${sql}\n) AS query LIMIT 0`)
  const columns = fields.map(carryMysql)
  assertYearsStay(model, columns)
  return { sql, columns }
}

/** mysql2 refuses columns of these names (its `privateObjectProps`), although rows are lists here. */
const REFUSED_BY_DRIVER = new Set([
  ...['__proto__', '__defineGetter__', '__defineSetter__', '__lookupGetter__', '__lookupSetter__'],
])

/**
 * True if the query has to be a subquery of another one. There are two reasons: the server prints only six
 * digits of a FLOAT unless it becomes a DOUBLE, and mysql2 refuses some names of columns. A subquery loses
 * the order of the rows, which does not matter to a diff.
 */
function isWrapped(columns: readonly MysqlColumn[]): boolean {
  return columns.some(({ name, isFloat }) => isFloat || REFUSED_BY_DRIVER.has(name))
}

/** Returns the query to run. Its columns are known by position, whatever their names are. */
function selection({ sql, columns }: Prepared): string {
  if (!isWrapped(columns)) return sql
  const values = columns.map(
    ({ name, isFloat }, index) => `${MYSQL_SQL.quote(name)}${isFloat ? ' + 0e0' : ''} AS c${index}`,
  )
  return `SELECT ${values.join(', ')} FROM (\n${sql}\n) AS query`
}

/**
 * Throws `query` if the server would change a YEAR. MariaDB may write a calculated YEAR as the text `0` into
 * the temporary table of the subquery, and then reads it as 2000.
 */
function assertYearsStay(model: ModelSpec, columns: readonly MysqlColumn[]): void {
  if (!isWrapped(columns)) return
  const year = columns.find(({ isCalculatedYear }) => isCalculatedYear)
  if (year === undefined) return
  const message =
    `MariaDB may make 2000 of the year 0000 in ${year.name}, a calculated YEAR in one query with a FLOAT; ` +
    `write CAST(… AS UNSIGNED) AS ${MYSQL_SQL.quote(year.name)}`
  throw new SluiceError('query', `The query of ${modelCalled(model.name)}: ${message}.`, {
    details: [{ field: 'sql', message }],
  })
}

function streamRows(session: Session, model: ModelSpec, prepared: Prepared): RowStream {
  const { connection, access, names } = session
  const { sql, columns } = prepared
  const encodings = columns.map(({ encoding }) => encoding)
  const { text, rows } = rowsAsText(connection, selection(prepared), encodings)
  return {
    text,
    sentRows: rows,
    failureOf: error => queryError(error, names, { model, timeoutMs: access.timeoutMs, sql }),
  }
}
