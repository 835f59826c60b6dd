/** Logs as JSON lines on stderr, through pino. */
import { redactText } from '@sluice/secrets/redact'
import { describedError, type DescribedError } from './described-error.ts'
import { LOG_LEVELS } from './settings/log-levels.ts'
import { safeJson } from '@sluice/contracts/safe-json'
import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino'

export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & {
  child(bindings: { readonly [name: string]: unknown }): Logger
}

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
  /** Values that no line may show, in whatever spelling. The list may grow. */
  readonly secrets?: readonly string[]
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
  const { secrets = [] } = options
  const described = (error: unknown): DescribedError =>
    describedError(error, (text, of) => redactText(text, secrets, of))
  const serializers = { err: described }
  const formatters = { log: (logged: object) => withoutErrorObjects(logged, described) }
  return pino({ name: options.name, level, redact, serializers, formatters }, destinationOf(options))
}

/** An error under any name is shown as one under `err` is. */
function withoutErrorObjects(
  logged: object,
  described: (error: unknown) => DescribedError,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(logged).map(([name, value]: [string, unknown]) => [
      name,
      value instanceof Error && name !== 'err' ? described(value) : value,
    ]),
  )
}

function destinationOf({ secrets = [], write }: LoggerOptions): DestinationStream {
  const lines: DestinationStream = write === undefined ? pino.destination({ dest: 2, sync: true }) : { write }
  return { write: line => lines.write(safeJson(redactText(line, secrets))) }
}
