/** Checks that a model's SQL is one query that only reads. */
import { type DuckDBConnection, type DuckDBPreparedStatement, StatementType } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { DUCKDB_SQL, type SqlDialect } from './sql-dialect.ts'
import { firstStatement, withoutLeadingComments } from './sql-tokens.ts'
import { modelCalled } from './model-columns.ts'

/**
 * Returns the SQL of a model: its own, without the semicolon at the end, or a query of its whole table.
 * Throws `config` for a wrong name of a table.
 */
export function sqlOf(model: ModelSpec, dialect: SqlDialect = DUCKDB_SQL): string {
  if (model.sql !== undefined) return withoutSemicolon(model.sql, dialect)
  return `SELECT * FROM ${tableOf(model, dialect)}`
}

/**
 * Returns the quoted name of the model's table. Throws `config` for a wrong one. A part of the name that
 * contains dots is in double quotes.
 */
export function tableOf(model: ModelSpec, dialect: SqlDialect = DUCKDB_SQL): string {
  const table = model.table ?? ''
  const parts = table.match(/"(?:[^"]|"")+"|[^.]+/g) ?? []
  const names = parts.map(part =>
    /^".*"$/s.test(part) ? part.slice(1, -1).replaceAll('""', '"') : part.trim(),
  )
  if (parts.join('.') !== table || parts.length > 3 || names.includes('')) {
    const message = `The table "${table}" of ${modelCalled(model.name)} is not a name like schema.name.`
    throw new SluiceError('config', message, { details: [{ field: 'table', message }] })
  }
  return names.map(dialect.quote).join('.')
}

/**
 * Throws `query` for SQL that does not begin as a query. That has to come before parsing, since DuckDB
 * carries out or rewrites some statements while it parses them.
 */
export function assertBeginsAsQuery(model: ModelSpec, sql: string, dialect: SqlDialect = DUCKDB_SQL): void {
  const beginning = withoutLeadingComments(sql, dialect.syntax)
  const first = /^[(\s]*([A-Za-z_]+)?/.exec(beginning)?.[1]
  if (first === undefined && beginning.replace(/[();\s]/g, '') === '') throw refused(model, 'it is empty')
  if (first === undefined || !dialect.firstWords.includes(first.toLowerCase()))
    throw refused(model, `it begins with ${first === undefined ? 'no word' : first.toUpperCase()}`)
}

/** Throws `query` for several statements, for which some servers have confusing messages. */
export function assertOneStatement(model: ModelSpec, sql: string, dialect: SqlDialect): void {
  if (firstStatement(sql, dialect.syntax).isOnly) return
  throw refused(model, 'it is several statements')
}

/**
 * Prepares the SQL. Throws `query` unless it is exactly one SELECT without parameters. Errors of parser and
 * binder are DuckDB's own.
 */
export async function prepareQuery(
  connection: DuckDBConnection,
  model: ModelSpec,
  sql: string,
): Promise<DuckDBPreparedStatement> {
  const statements = await connection.extractStatements(sql)
  if (statements.count !== 1) {
    const hint = /\bpivot\b/i.test(sql) ? '; give a PIVOT its values: ON column IN (…)' : ''
    throw refused(model, `it is ${statements.count} statements${hint}`)
  }
  const statement = await statements.prepare(0)
  const { statementType, parameterCount } = statement
  if (statementType === StatementType.SELECT && parameterCount === 0) return statement
  statement.destroySync()
  throw refused(
    model,
    statementType === StatementType.SELECT
      ? 'it has parameters, for which there are no values'
      : `it is of the kind ${StatementType[statementType]}`,
  )
}

/** The error for SQL that is not one query that only reads. `found` says why, as in "it is empty". */
export function refused(model: ModelSpec, found: string): SluiceError {
  const message = `The SQL of ${modelCalled(model.name)} has to be one query that only reads (SELECT, FROM, WITH, VALUES, …), but ${found}.`
  return new SluiceError('query', message, { details: [{ field: 'sql', message }] })
}

/** Cuts a statement at its semicolon, if only blanks, comments and other semicolons follow. */
function withoutSemicolon(sql: string, { syntax }: SqlDialect): string {
  const { end, isOnly } = firstStatement(sql, syntax)
  return isOnly ? sql.slice(0, end) : sql
}
