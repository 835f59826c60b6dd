/**
 * Source of the type `mysql`: MySQL and MariaDB. The rows come as the text that the server prints, and are
 * written as they are for DuckDB to read.
 */
import type { Connection } from 'mysql2'
import type { ModelSpec, MysqlSourceSpec } from '@sluice/contracts/resources'
import type { Source } from '../port.ts'
import { assertColumns } from './model-columns.ts'
import { abandon, beginSnapshot, connect, cut, describeStatement, end, run } from './mysql-connection.ts'
import { connectError, queryError } from './mysql-errors.ts'
import { rowsAsText } from './mysql-rows.ts'
import { carryMysql, type MysqlColumn } from './mysql-types.ts'
import {
  assertBeginsAsQuery,
  assertOneStatement,
  refused,
  type SqlDialect,
  sqlOf,
} from './read-only-query.ts'
import {
  type RowStream,
  type ServerDialect,
  type ServerSession,
  ServerSource,
  type ServerSourceOptions,
} from './server-source.ts'

const DIALECT: SqlDialect = {
  syntax: 'mysql',
  quote: quoteName,
  firstWords: ['select', 'with', 'values', 'table'],
}

type Session = ServerSession<Connection>

/** A query of a model, found to be one that reads, and its columns. */
interface Prepared {
  readonly sql: string
  readonly columns: readonly MysqlColumn[]
}

const MYSQL: ServerDialect<Connection, Prepared> = {
  product: 'MySQL',
  defaultPort: 3306,
  connect,
  begin: (connection, { timeoutMs }) => beginSnapshot(connection, timeoutMs),
  prepare,
  streamRows,
  commit: async connection => void (await run(connection, 'COMMIT')),
  cut,
  abandon,
  end,
  connectError,
  queryError: (error, names, of) => queryError(error, names, { ...of, sql: '' }),
}

/** A source in MySQL or MariaDB. Queries may run concurrently; each has a connection of its own. */
export function createMysqlSource(options: ServerSourceOptions<MysqlSourceSpec>): Source {
  return new ServerSource(options, MYSQL)
}

function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

async function prepare(session: Session, model: ModelSpec): Promise<Prepared> {
  const { connection, access, names, signal } = session
  const sql = sqlOf(model, DIALECT)
  assertBeginsAsQuery(model, sql, DIALECT)
  assertOneStatement(model, sql, DIALECT)
  const describe = (text: string) =>
    describeStatement(connection, text).catch((error: unknown) => {
      signal.throwIfAborted()
      throw queryError(error, names, { model, timeoutMs: access.timeoutMs, sql })
    })
  const { fields, parameters } = await describe(sql)
  if (parameters > 0) throw refused(model, 'it has parameters, for which there are no values')
  assertColumns(model, fields)
  // Inside of a query only what reads can stand: not INTO OUTFILE, for one.
  await describe(`SELECT * FROM (\n${sql}\n) AS query LIMIT 0`)
  return { sql, columns: fields.map(carryMysql) }
}

/**
 * The query as it is to be run. Only a FLOAT needs another one around it, since the server prints it with six
 * digits; the order of the model's query is lost by that, which means nothing to a diff.
 */
function selection({ sql, columns }: Prepared): string {
  if (columns.every(column => !column.isFloat)) return sql
  const values = columns.map(({ name, isFloat }) =>
    isFloat ? `${quoteName(name)} + 0e0 AS ${quoteName(name)}` : quoteName(name),
  )
  return `SELECT ${values.join(', ')} FROM (\n${sql}\n) AS query`
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
