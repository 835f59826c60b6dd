/**
 * The logger of the commands. It is silent unless SLUICE_LOG_LEVEL asks for more, since people read the
 * progress and the summary.
 */
import type { Logger } from '@sluice/runtime/logger'
import { ownSecrets } from '@sluice/runtime/own-secrets'
import { logLevelOf } from '@sluice/runtime/settings/log-levels'
import { SILENT_LOGGER } from '@sluice/runtime/silent-logger'
import { KnownValues } from '@sluice/secrets/known-values'
import type { CommandContext } from './command.ts'

/** The secrets that this process has met. No line may show one. */
const met = new KnownValues([])

/** Hides this value in the lines of all loggers from now on. */
export function mask(value: string): void {
  met.add(value)
}

/** Throws `config` for an unknown level. */
export async function loggerFor({ env }: Pick<CommandContext, 'env'>): Promise<Logger> {
  for (const value of ownSecrets(env)) met.add(value)
  const level = logLevelOf(env) ?? 'silent'
  if (level === 'silent') return SILENT_LOGGER
  const { createLogger } = await import('@sluice/runtime/logger')
  return createLogger({ name: 'sluice', level, secrets: met.all })
}
