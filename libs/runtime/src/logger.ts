/** Logs as JSON lines on stderr, through pino. */
import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino'
import { redactText } from '@sluice/secrets/redact'
import { safeJson } from '@sluice/contracts/safe-json'
import { LOG_LEVELS } from './settings/log-levels.ts'

/**
 * What a log line says of an error: a list of what may be shown, and nothing else. Clients hang all kinds of
 * things on their errors: the command with its arguments (Redis' AUTH), the configuration of a request, the
 * parameters of a query.
 */
const MAX_CAUSES = 5
const MAX_TEXT = 10_000
/** So much of a text is looked at. What is masked may be longer than what is shown. */
const LOOKED_AT = 100_000

/**
 * Gives a text without secrets. `cut`: it is the beginning of a longer one, whose end may cut a secret off.
 */
export type MaskText = (text: string, of: { readonly cut: boolean }) => string

export interface DescribedError {
  readonly type: string
  readonly message: string
  readonly stack?: string
  readonly code?: string | number
  readonly retryable?: boolean
  readonly cause?: DescribedError
}

/** An error as a log line shows it. Anything else as its kind alone, since nobody knows what it holds. */
export function describedError(error: unknown, mask: MaskText, causes = MAX_CAUSES): DescribedError {
  const cut = (text: string): string => shortened(text, mask)
  if (!(error instanceof Error)) {
    return { type: typeof error, message: typeof error === 'string' ? cut(error) : 'no error object' }
  }
  const code: unknown = 'code' in error ? error.code : undefined
  const retryable: unknown = 'retryable' in error ? error.retryable : undefined
  const { cause } = error
  return {
    type: error.name,
    message: cut(error.message),
    ...(error.stack === undefined ? {} : { stack: cut(error.stack) }),
    ...(isCode(code) ? { code } : {}),
    ...(typeof retryable === 'boolean' ? { retryable } : {}),
    ...(cause instanceof Error && causes > 0 ? { cause: describedError(cause, mask, causes - 1) } : {}),
  }
}

function isCode(code: unknown): code is string | number {
  return typeof code === 'number' || (typeof code === 'string' && /^[\w.-]{1,100}$/.test(code))
}

/** The rest of a secret that was cut in two could not be found, so it is masked before. */
function shortened(text: string, mask: MaskText): string {
  if (text.length <= MAX_TEXT) return text
  const masked = mask(text.slice(0, LOOKED_AT), { cut: text.length > LOOKED_AT })
  return `${masked.slice(0, MAX_TEXT)}…`
}

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
