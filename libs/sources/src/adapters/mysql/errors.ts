/**
 * Translates errors of MySQL and MariaDB into SluiceErrors. Their codes:
 * https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html and
 * https://mariadb.com/kb/en/mariadb-error-code-reference/.
 */
import { isSluiceError, type SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { SqlPlace } from '../duckdb/errors.ts'
import {
  cannotConnect,
  connectionLost,
  queryFailed,
  refusesLogin,
  saidBy,
  type ServerNames,
  tookTooLong,
} from '../server/errors.ts'

/** Access denied, no such database, host not allowed, no common way to log in. */
const LOGIN = new Set([1044, 1045, 1049, 1130, 1251, 1698, 3118, 4151])
/** Shutdown, connection killed. */
const OVER = new Set([1053, 1079, 1927])
/** max_execution_time of MySQL, max_statement_time of MariaDB. */
const TIMED_OUT = new Set([3024, 1969])
/** Lock wait, deadlock, a table that changed under the snapshot, too many connections. */
const RETRYABLE = new Set([1205, 1213, 1412, 1040, 1203, 1226])

const NEAR = " near '"
/** MySQL's own messages have at most 512. */
const MOST_CHARACTERS = 10_000

/** The number of an error of the server. Errors of the connection have none. */
function numberOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('sqlState' in error) || !('errno' in error)) return null
  return typeof error.errno === 'number' ? error.errno : null
}

/** For an error while the connection is opened. */
export function connectError(error: unknown, names: ServerNames): SluiceError {
  if (isSluiceError(error)) return error
  if (LOGIN.has(numberOf(error) ?? 0)) return refusesLogin(error, names)
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

/** For an error while a query runs. */
export function queryError(error: unknown, names: ServerNames, of: MysqlFailure): SluiceError {
  if (isSluiceError(error)) return error
  const number = numberOf(error)
  if (number === null || OVER.has(number)) return connectionLost(error, names, of.model)
  if (of.timeoutMs !== null && TIMED_OUT.has(number))
    return tookTooLong(error, names, { model: of.model, timeoutMs: of.timeoutMs })
  const said = saidBy(error, names)
  return queryFailed(error, names, {
    model: of.model,
    place: placeOf(error instanceof Error ? error.message : said, of.sql),
    said,
    retryable: RETRYABLE.has(number),
  })
}

/**
 * The place to which a message points. For a syntax error, the server shows the line and the text from the
 * mistake on. For an unknown name, the place is known if the name occurs only once in the SQL.
 */
function placeOf(message: string, sql: string): SqlPlace | null {
  // A server that talks without end points to nothing.
  if (message.length > MOST_CHARACTERS) return null
  const near = message.indexOf(NEAR)
  const [end, line] = /' at line (\d{1,9})$/.exec(message) ?? []
  if (near >= 0 && end !== undefined && near + NEAR.length <= message.length - end.length) {
    const text = message.slice(near + NEAR.length, message.length - end.length)
    const lines = sql.split('\n')
    const before = lines.slice(0, Number(line) - 1).reduce((sum, each) => sum + each.length + 1, 0)
    // The text begins with the mistake, which stands in that line.
    const at = text === '' ? sql.trimEnd().length : sql.indexOf(text.split('\n')[0] ?? '', before)
    return at < 0 ? { line: Number(line), column: 1 } : placeAt(at, sql)
  }
  const named = /'([^']+)'|\b(?:FUNCTION|PROCEDURE) (\S+)/.exec(message)
  const name = named?.[1] ?? named?.[2]
  if (name === undefined) return null
  for (const candidate of [name, name.split('.').at(-1) ?? name]) {
    const escaped = candidate.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    const found = [...sql.matchAll(new RegExp(`(?<![\\w$])${escaped}(?![\\w$])`, 'gi'))]
    if (found.length === 1) return placeAt(found[0]?.index ?? 0, sql)
  }
  return null
}

/** Places count characters, not units of UTF-16. */
function placeAt(offset: number, sql: string): SqlPlace {
  const lines = sql.slice(0, offset).split('\n')
  return { line: lines.length, column: Array.from(lines.at(-1) ?? '').length + 1 }
}
