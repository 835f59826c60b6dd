/** The SQL of each type of source that has SQL of its own. */
import type { SourceSpec } from '@sluice/contracts/resources'
import { quoteIdentifier } from '../duckdb/types.ts'
import type { SqlSyntax } from './sql-tokens.ts'

/** The SQL of one database. */
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
const FIRST_WORDS = ['select', 'with', 'values', 'table']

export const DIALECTS = {
  duckdb: { syntax: 'standard', quote: quoteIdentifier, firstWords: DUCKDB_FIRST_WORDS },
  postgres: { syntax: 'standard', quote: quoteIdentifier, firstWords: FIRST_WORDS },
  mysql: {
    syntax: 'mysql',
    quote: name => `\`${name.replaceAll('`', '``')}\``,
    firstWords: FIRST_WORDS,
  },
} as const satisfies { readonly [type in Exclude<SourceSpec['type'], 'kafka'>]: SqlDialect }
