/** Logs as JSON lines on stderr, through pino. */
import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino'

export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & {
  child(bindings: { readonly [name: string]: unknown }): Logger
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/**
 * Properties whose value never goes into a line, wherever they stand in the first levels of the logged
 * object.
 */
const SENSITIVE_PROPERTIES = [
  'password',
  'secret',
  'token',
  'authorization',
  'cookie',
  'passphrase',
  'apiKey',
]
const DEPTHS = ['', '*.', '*.*.']

export interface LoggerOptions {
  readonly name: string
  readonly level?: string | undefined
  /** Masks other values that must not be shown: gets a whole line, and gives the line to be written. */
  readonly redact?: ((line: string) => string) | undefined
  /** Where lines go; default stderr. */
  readonly write?: ((line: string) => void) | undefined
}

/**
 * A logger of that name and level; an unknown level is `info`. Lines are written at once, so none is lost
 * when the process ends.
 */
export function createLogger(options: LoggerOptions): Logger {
  const level = LOG_LEVELS.find(known => known === options.level) ?? 'info'
  const redact = {
    paths: DEPTHS.flatMap(depth => SENSITIVE_PROPERTIES.map(name => depth + name)),
    censor: '***',
  }
  return pino({ name: options.name, level, redact }, destinationOf(options))
}

function destinationOf({ redact, write }: LoggerOptions): DestinationStream {
  const lines: DestinationStream = write === undefined ? pino.destination({ dest: 2, sync: true }) : { write }
  return redact === undefined ? lines : { write: line => lines.write(redact(line)) }
}
