/** The one query of a model, made sure to be one that only reads. */
import { type DuckDBConnection, type DuckDBPreparedStatement, StatementType } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { quoteIdentifier } from './duckdb-types.ts'

/**
 * Words that a query may begin with. DuckDB rewrites some PRAGMAs into SELECTs, so the kind of the parsed
 * statement alone does not tell.
 */
const FIRST_WORDS = [
  'select',
  'from',
  'with',
  'values',
  'table',
  'pivot',
  'unpivot',
  'describe',
  'desc',
  'show',
  'summarize',
]

/**
 * The SQL of a model: its own, without the semicolon at the end, or a whole table, whose name is written by
 * `quote` as the database has it. A part of the name that holds dots is in double quotes.
 */
export function sqlOf(model: ModelSpec, quote = quoteIdentifier): string {
  if (model.sql !== undefined) return withoutSemicolon(model.sql)
  const table = model.table ?? ''
  const parts = table.match(/"(?:[^"]|"")+"|[^.]+/g) ?? []
  const names = parts.map(part =>
    /^".*"$/s.test(part) ? part.slice(1, -1).replaceAll('""', '"') : part.trim(),
  )
  if (parts.join('.') !== table || parts.length > 3 || names.includes(''))
    throw new SluiceError('config', `Model ${model.name}: table "${table}" is no name like schema.name.`)
  return `SELECT * FROM ${names.map(name => quote(name)).join('.')}`
}

/**
 * Refuses what does not begin as a query, before it is parsed: DuckDB would carry out or rewrite some of it
 * while it parses. The words are those that a query may begin with, in lower case.
 */
export function assertBeginsAsQuery(model: ModelSpec, sql: string, firstWords = FIRST_WORDS): void {
  const first = /^[(\s]*([A-Za-z_]+)?/.exec(withoutLeadingComments(sql))?.[1]
  if (first === undefined && withoutLeadingComments(sql).replace(/[();\s]/g, '') === '')
    throw refused(model, 'it is empty')
  if (first === undefined || !firstWords.includes(first.toLowerCase()))
    throw refused(model, `it begins with ${first === undefined ? 'no word' : first.toUpperCase()}`)
}

/**
 * Prepares the SQL; refuses what is not exactly one statement of the kind SELECT. Errors of parser and binder
 * are DuckDB's own.
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

/** The error for SQL that is not one query that only reads; `found` says what it is, as in "it is empty". */
export function refused(model: ModelSpec, found: string): SluiceError {
  const message = `The SQL of model ${model.name} is to be one query that only reads (SELECT, FROM, WITH, VALUES, …), but ${found}.`
  return new SluiceError('query', message, { details: [{ field: 'sql', message }] })
}

function withoutLeadingComments(sql: string): string {
  return sql.replace(/^(\s+|--[^\n]*(\n|$)|\/\*[\s\S]*?\*\/)+/, '')
}

/**
 * Cuts a statement at its first semicolon that is no part of a text, a name or a comment, if only blanks and
 * comments follow.
 */
export function withoutSemicolon(sql: string): string {
  const tokens =
    /\b[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|;|[^'"$;/\-eE]+|[\s\S]/g
  for (const token of sql.matchAll(tokens)) {
    if (token[0] !== ';') continue
    const rest = withoutLeadingComments(sql.slice(token.index + 1)).replace(/[;\s]+/g, '')
    return rest === '' ? sql.slice(0, token.index) : sql
  }
  return sql
}
