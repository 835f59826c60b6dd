/** The adapter for a source's type. */
import type { SourceSpec } from '@sluice/contracts/resources'
import type { Source } from '../port.ts'
import { createDuckdbSource } from './duckdb.ts'
import { DEFAULT_LIMITS, type FileLimits } from './duckdb/file-limits.ts'
import type { SecretOf } from './server/access.ts'

export interface OpenSourceOptions {
  /** Gives a secret's value. Called whenever a connection is opened. Its errors pass through. */
  readonly secretOf: SecretOf
  /** Most memory of a query that DuckDB runs, in bytes; default 512 MB. */
  readonly memoryBytes?: number
  /** For sources on files; see `DEFAULT_LIMITS`. */
  readonly fileLimits?: Partial<FileLimits>
}

/** The share of its memory limit that a query gets at first. */
const USUAL_SHARE = 0.6

/**
 * Opens a source. It connects only when a query is described or extracted. A source on files starts the
 * process of its first query at once, which waits.
 */
export async function openSource(
  spec: SourceSpec,
  { secretOf, memoryBytes, fileLimits: limits }: OpenSourceOptions,
): Promise<Source> {
  switch (spec.type) {
    case 'duckdb':
      return createDuckdbSource({
        spec,
        ...(memoryBytes === undefined
          ? {}
          : { memoryBytes, usualBytes: Math.floor(memoryBytes * USUAL_SHARE) }),
        limits: { ...DEFAULT_LIMITS, ...limits },
      })
    case 'postgres': {
      const { createPostgresSource } = await import('./postgres.ts')
      return createPostgresSource({ spec, secretOf })
    }
    case 'mysql': {
      const { createMysqlSource } = await import('./mysql.ts')
      return createMysqlSource({ spec, secretOf })
    }
    default:
      return spec satisfies never
  }
}
