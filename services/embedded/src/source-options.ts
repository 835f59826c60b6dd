/** What sources and the delivered state may have, in every command alike. */
import type { SecretFor } from '@sluice/contracts/secret-references'
import { duckdbSize, memoryBudget, queryBytes } from '@sluice/domain/memory-budget'
import { fileSourceLimits, sourcePrivateNetworks, type PrivateNetworks } from '@sluice/runtime/settings/reach'
import { memoryOf, type Environment } from '@sluice/runtime/environment'
import { told, type KeptSecrets } from '@sluice/secrets/bound-secrets'
import type { SourceSpec } from '@sluice/contracts/resources'
import type { Logger } from '@sluice/runtime/logger'
import type { Metrics } from '@sluice/runtime/metrics'
import { secretForOf } from './folder-secrets.ts'

/** The secrets of a vault that is empty or not open. */
export const NOTHING_KEPT: KeptSecrets = { find: () => null }

interface SourceOptions {
  readonly secretFor: SecretFor
  readonly memoryBytes: number
  readonly privateNetworks: PrivateNetworks
  readonly fileLimits: ReturnType<typeof fileSourceLimits>
}

/**
 * A query has as much memory in every command, so that a preview fails where a run would. The one who runs
 * the command reads files with rights of their own, so that any folder will do by default.
 */
export function sourceOptionsOf(
  { env, mask, sourceRoots }: Pick<EmbeddedOptions, 'env' | 'mask' | 'sourceRoots'>,
  kept: KeptSecrets,
): SourceOptions {
  const memoryBytes = queryBytes(memoryBudget(memoryOf(env)))
  const privateNetworks = sourcePrivateNetworks(env)
  return {
    secretFor: told(secretForOf(env, kept), mask),
    memoryBytes,
    privateNetworks,
    fileLimits: fileSourceLimits(env, sourceRoots ?? null),
  }
}

export function stateMemoryOf(env: Environment): string {
  return duckdbSize(memoryBudget(memoryOf(env)).duckdbBytes)
}

/** What the embedded profile is opened with. */
export interface EmbeddedOptions {
  /** Where the services count what they do; absent: nowhere. */
  readonly metrics?: Metrics
  /** The project folder, absolute. */
  readonly dir: string
  readonly env: Environment
  readonly logger: Logger
  readonly newRunId: () => string
  readonly signal: AbortSignal
  /** No line of the log shows this value from now on. */
  readonly mask: (value: string) => void
  /** Tells a person a sentence beside the result of the command. */
  readonly tell: (notice: string) => void
  /** Folders that sources on files may read if `SLUICE_SOURCE_ROOTS` names none. Default: any folder. */
  readonly sourceRoots?: readonly string[]
  /** The source that the first run will read, if that is known. */
  readonly expected?: SourceSpec | null
  /** True in a server: templates are rendered in a thread of their own, so that it answers meanwhile. */
  readonly serves?: boolean
}
