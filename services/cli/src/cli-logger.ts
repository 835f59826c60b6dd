/**
 * The logger of the commands: silent unless SLUICE_LOG_LEVEL asks for more, since people are told by progress
 * and summary.
 */
import { createLogger, type Logger } from '@sluice/runtime/logger'
import type { CommandContext } from './command.ts'

export function loggerFor({ env }: Pick<CommandContext, 'env'>): Logger {
  return createLogger({ name: 'sluice', level: env['SLUICE_LOG_LEVEL'] ?? 'silent' })
}
