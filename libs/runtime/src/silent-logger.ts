/**
 * For a process that logs nothing unless it is asked to: pino takes longer to load than some commands to run.
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
