/** The SQL of a type of source, as far as Sluice looks at it or writes it. */
import { quoteIdentifier } from '../duckdb/types.ts'
import type { SqlSyntax } from './sql-tokens.ts'

export interface SqlDialect {
  readonly syntax: SqlSyntax
  /** Quotes an identifier, so that any name is allowed. */
  readonly quote: (name: string) => string
  /** Words that a query may begin with, in lower case. */
  readonly firstWords: readonly string[]
}

/**
 * The kind of the parsed statement is not enough to tell a query, since DuckDB rewrites some PRAGMAs into
 * SELECTs.
 */
const DUCKDB_FIRST_WORDS = [
  ...['select', 'from', 'with', 'values', 'table', 'pivot', 'unpivot'],
  ...['describe', 'desc', 'show', 'summarize'],
]

export const DUCKDB_SQL: SqlDialect = {
  syntax: 'standard',
  quote: quoteIdentifier,
  firstWords: DUCKDB_FIRST_WORDS,
}

export const SQLITE_SQL: SqlDialect = {
  ...DUCKDB_SQL,
  syntax: 'sqlite',
  firstWords: ['select', 'with', 'values'],
}
