/** Opens the vault of a distributed process, which outlasts an outage of the log. */
import type { Logger } from '@sluice/runtime/logger'
import type { Environment } from '@sluice/runtime/environment'
import { environmentKeys } from '@sluice/secrets/vault/key-file'
import { Vault } from '@sluice/secrets/vault/vault'
import type { StageContext } from './open-stage.ts'

export function openVault(
  stage: Pick<StageContext, 'log' | 'io' | 'prefix'>,
  env: Environment,
  options: {
    readonly logger: Logger
    readonly onOpened?: (value: string) => void
    readonly signal: AbortSignal
  },
): Promise<Vault> {
  const { logger, onOpened, signal } = options
  const { log, io, prefix } = stage
  const onTransientFailure = (err: unknown): void =>
    logger.warn({ err }, 'the vault cannot be followed for now')
  const keys = environmentKeys(env)
  const watching = onOpened === undefined ? {} : { onOpened }
  return Vault.open({ log, io, prefix, keys, onTransientFailure, ...watching }, { signal })
}
