/** Chooses the adapter by a source's type. */
import type { KafkaSourceSpec, SourceSpec } from '@sluice/contracts/resources'
import type { SecretFor } from '@sluice/contracts/secret-references'
import { SluiceError } from '@sluice/contracts/errors'
import type { Source } from '../port.ts'
import type { StreamSource } from '../stream-port.ts'
import { createFileSource } from './files.ts'
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
    case 'sqlite':
      return createFileSource({
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

/** Resolves with the topics that a source of type kafka has for its login. Rejects as a source does. */
export async function topicsIn(
  spec: KafkaSourceSpec,
  { secretFor, privateNetworks = 'allowed' }: OpenSourceOptions,
  asking: { readonly signal: AbortSignal },
): Promise<readonly string[]> {
  const { topicsOf } = await import('./kafka.ts')
  return await topicsOf({ spec, secretFor, privateNetworks }, asking)
}

export interface OpenStreamSourceOptions extends OpenSourceOptions {
  /** The sync. The source names after it what it makes at the server, so that no other sync has it. */
  readonly sync: string
}

/**
 * Opens a source whose changes are read as they come. It connects only when it is used. Throws `config` for a
 * source that does not tell its changes.
 */
export async function openStreamSource(
  spec: SourceSpec,
  { secretFor, memoryBytes, privateNetworks = 'allowed', sync }: OpenStreamSourceOptions,
): Promise<StreamSource> {
  const limit = memoryBytes === undefined ? {} : { memoryBytes }
  if (spec.type === 'kafka') {
    const { createKafkaStreamSource } = await import('./kafka-stream.ts')
    return createKafkaStreamSource({ spec, secretFor, privateNetworks, ...limit })
  }
  if (spec.type === 'postgres') {
    const { createPostgresStreamSource } = await import('./postgres-stream.ts')
    return createPostgresStreamSource({ spec, secretFor, privateNetworks, sync, ...limit })
  }
  throw new SluiceError('config', `Source ${spec.name} of type ${spec.type} does not tell its changes.`)
}
