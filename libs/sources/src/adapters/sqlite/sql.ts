/** The SQL of SQLite. */
import { quoteIdentifier } from '../duckdb/types.ts'
import type { SqlDialect } from '../query/sql-dialect.ts'

export const SQLITE_SQL: SqlDialect = {
  syntax: 'sqlite',
  quote: quoteIdentifier,
  firstWords: ['select', 'with', 'values'],
}
