/**
 * The logger of the commands. It is silent unless SLUICE_LOG_LEVEL asks for more, since people read the
 * progress and the summary.
 */
import { createLogger, type Logger } from '@sluice/runtime/logger'
import { ownSecrets } from '@sluice/runtime/own-secrets'
import { KnownValues } from '@sluice/secrets/known-values'
import type { CommandContext } from './command.ts'

/** All that this process has met and that no line may show. */
const met = new KnownValues([])

/** No line of any logger shows this value from now on. */
export function mask(value: string): void {
  met.add(value)
}

export function loggerFor({ env }: Pick<CommandContext, 'env'>): Logger {
  for (const value of ownSecrets(env)) met.add(value)
  return createLogger({ name: 'sluice', level: env['SLUICE_LOG_LEVEL'] ?? 'silent', secrets: met.all })
}
