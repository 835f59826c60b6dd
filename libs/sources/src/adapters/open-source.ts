/** The adapter for a source's type. */
import type { SourceSpec } from '@sluice/contracts/resources'
import type { Source } from '../port.ts'
import { createDuckdbSource } from './duckdb.ts'
import type { SecretOf } from './server/access.ts'

export interface OpenSourceOptions {
  /** Gives a secret's value. Called whenever a connection is opened. Its errors pass through. */
  readonly secretOf: SecretOf
  /**
   * Most memory of DuckDB in bytes: for a query that it runs, by default 512 MB, or for the rows of a server
   * that it loads, by default 128 MB.
   */
  readonly memoryBytes?: number
}

/** The share of its memory limit that a query gets at first. */
const USUAL_SHARE = 0.6

/** Opens a source. It connects only when a query is described or extracted. */
export async function openSource(
  spec: SourceSpec,
  { secretOf, memoryBytes }: OpenSourceOptions,
): Promise<Source> {
  const limit = memoryBytes === undefined ? {} : { memoryBytes }
  switch (spec.type) {
    case 'duckdb':
      return createDuckdbSource({
        spec,
        ...(memoryBytes === undefined
          ? {}
          : { memoryLimit: `${memoryBytes}B`, usualMemory: `${Math.floor(memoryBytes * USUAL_SHARE)}B` }),
      })
    case 'postgres': {
      const { createPostgresSource } = await import('./postgres.ts')
      return createPostgresSource({ spec, secretOf, ...limit })
    }
    case 'mysql': {
      const { createMysqlSource } = await import('./mysql.ts')
      return createMysqlSource({ spec, secretOf, ...limit })
    }
    default:
      return spec satisfies never
  }
}
