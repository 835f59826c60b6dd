/** The secrets, memory and files that sources and the delivered state may use, alike in every command. */
import type { SecretFor } from '@sluice/contracts/secret-references'
import { duckdbSize, memoryBudget, queryBytes } from '@sluice/domain/memory-budget'
import { fileSourceLimits, sourcePrivateNetworks, type PrivateNetworks } from '@sluice/runtime/settings/reach'
import { memoryOf, type Environment } from '@sluice/runtime/environment'
import { watchedSecrets, type KeptSecrets } from '@sluice/secrets/bound-secrets'
import type { Definition, SourceSpec } from '@sluice/contracts/resources'
import type { HttpSender } from '@sluice/http-sender/port'
import type { DeliveredState, StateOptions } from '@sluice/delivered-state/port'
import type { Source } from '@sluice/sources/port'
import type { Logger } from '@sluice/runtime/logger'
import type { Metrics } from '@sluice/runtime/metrics'
import { secretForOf } from './folder-secrets.ts'

/** The secrets of a vault that is empty or not open. */
export const NOTHING_KEPT: KeptSecrets = { find: () => null }

export interface SourceOptions {
  readonly secretFor: SecretFor
  readonly memoryBytes: number
  readonly privateNetworks: PrivateNetworks
  readonly fileLimits: ReturnType<typeof fileSourceLimits>
}

/**
 * A query has the same memory in every command, so that a preview fails where a run would. The caller of the
 * command reads files with their own rights, so that sources may read any folder by default.
 */
export function sourceOptionsOf(
  { env, mask, sourceRoots }: Pick<EmbeddedOptions, 'env' | 'mask' | 'sourceRoots'>,
  kept: KeptSecrets,
): SourceOptions {
  const memoryBytes = queryBytes(memoryBudget(memoryOf(env)))
  const privateNetworks = sourcePrivateNetworks(env)
  return {
    secretFor: watchedSecrets(secretForOf(env, kept), mask),
    memoryBytes,
    privateNetworks,
    fileLimits: fileSourceLimits(env, sourceRoots ?? null),
  }
}

export function stateMemoryOf(env: Environment): string {
  return duckdbSize(memoryBudget(memoryOf(env)).duckdbBytes)
}

/** The world outside of a pipeline, as a test of syncs plays it. */
export interface Simulation {
  readonly openSource: (definition: Definition) => Promise<Source>
  readonly openSender: () => HttpSender
  readonly openState: (
    dataDir: string,
    state: StateOptions & { readonly memoryLimit: string },
    logger: Logger,
  ) => Promise<DeliveredState>
}

/** The options of the embedded profile. */
export interface EmbeddedOptions {
  /** The metrics of the services; absent: they do not count. */
  readonly metrics?: Metrics
  /** The project folder, absolute. */
  readonly dir: string
  readonly env: Environment
  readonly logger: Logger
  readonly newRunId: () => string
  readonly signal: AbortSignal
  /** Hides this value in all lines of the log from now on. */
  readonly mask: (value: string) => void
  /** Tells a person a sentence beside the result of the command. */
  readonly tell: (notice: string) => void
  /** Folders that sources on files may read if `SLUICE_SOURCE_ROOTS` names none. Default: any folder. */
  readonly sourceRoots?: readonly string[]
  /** The source that the first run will read, if that is known. */
  readonly expected?: SourceSpec | null
  /** Replaces sources and APIs. If absent, runs read sources and send requests. */
  readonly simulation?: Simulation
  /** True in a server, which renders templates in a thread of their own, so that it answers meanwhile. */
  readonly serves?: boolean
}
