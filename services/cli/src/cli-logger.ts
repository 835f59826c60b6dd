/**
 * The logger of the commands. It is silent unless SLUICE_LOG_LEVEL asks for more, since people read the
 * progress and the summary.
 */
import { createLogger, type Logger } from '@sluice/runtime/logger'
import { ownSecrets } from '@sluice/runtime/own-secrets'
import type { CommandContext } from './command.ts'

export function loggerFor({ env }: Pick<CommandContext, 'env'>): Logger {
  return createLogger({
    name: 'sluice',
    level: env['SLUICE_LOG_LEVEL'] ?? 'silent',
    secrets: ownSecrets(env),
  })
}
