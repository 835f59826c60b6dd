/** Chooses the adapter by a source's type. */
import type { SourceSpec } from '@sluice/contracts/resources'
import type { SecretFor } from '@sluice/contracts/secret-references'
import type { Source } from '../port.ts'
import { createDuckdbSource } from './duckdb.ts'
import { DEFAULT_LIMITS, type FileLimits } from './duckdb/file-limits.ts'
import type { PrivateNetworks } from './server/access.ts'

export interface OpenSourceOptions {
  /** Called with the server whenever a connection is opened. Its errors pass through. */
  readonly secretFor: SecretFor
  /**
   * DuckDB's memory limit in bytes. Default 512 MB for a query that it runs, and 128 MB for rows of a server
   * that it loads.
   */
  readonly memoryBytes?: number
  /** For sources on database servers. Default `allowed`. */
  readonly privateNetworks?: PrivateNetworks
  /** For sources on files; see `DEFAULT_LIMITS`. */
  readonly fileLimits?: Partial<FileLimits>
}

/** A query's first attempt gets this share of the memory limit. */
const USUAL_SHARE = 0.6

/**
 * Opens a source. It connects only when a query is described or extracted. A source on files starts the
 * process of its first query at once, which waits for the query.
 */
export async function openSource(
  spec: SourceSpec,
  { secretFor, memoryBytes, privateNetworks = 'allowed', fileLimits: limits }: OpenSourceOptions,
): Promise<Source> {
  const limit = memoryBytes === undefined ? {} : { memoryBytes }
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
      return createPostgresSource({ spec, secretFor, privateNetworks, ...limit })
    }
    case 'mysql': {
      const { createMysqlSource } = await import('./mysql.ts')
      return createMysqlSource({ spec, secretFor, privateNetworks, ...limit })
    }
    case 'kafka': {
      const { createKafkaSource } = await import('./kafka.ts')
      return createKafkaSource({ spec, secretFor, privateNetworks, ...limit })
    }
    default:
      return spec satisfies never
  }
}
