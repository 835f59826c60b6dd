/**
 * A logger for processes that log nothing by default, since pino takes longer to load than some commands take
 * to run.
 */
import type { Logger } from './logger.ts'

const nothing = (): void => undefined

export const SILENT_LOGGER: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  fatal: nothing,
  child: () => SILENT_LOGGER,
}
