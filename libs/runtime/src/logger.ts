/** Logs as JSON lines on stderr, through pino. */
import { pino, type Logger as PinoLogger } from 'pino'

export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & {
  child(bindings: { readonly [name: string]: unknown }): Logger
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/** A logger of that name and level; an unknown level is `info`. Lines are written at once, so none is lost when the process ends. */
export function createLogger(options: {
  readonly name: string
  readonly level?: string | undefined
}): Logger {
  const level = LOG_LEVELS.find(known => known === options.level) ?? 'info'
  return pino({ name: options.name, level }, pino.destination({ dest: 2, sync: true }))
}
