/** Logs as JSON lines on stderr, through pino. */
import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino'
import { redactText } from '@sluice/secrets/redact'
import { safeJson } from '@sluice/contracts/safe-json'
import { LOG_LEVELS } from './settings/log-levels.ts'

/**
 * A log line shows only listed fields of an error, since clients put all kinds of values on their errors: the
 * command with its arguments (Redis' AUTH), the configuration of a request, the parameters of a query.
 */
const MAX_CAUSES = 5
const MAX_TEXT = 10_000
/** The part of a text in which secrets are masked. A secret may be longer than the shown text. */
const MAX_MASKED = 100_000

/**
 * Returns a text without secrets. `cut`: the text is the beginning of a longer one, and may end inside a
 * secret.
 */
export type MaskText = (text: string, options: { readonly cut: boolean }) => string

export interface DescribedError {
  readonly type: string
  readonly message: string
  readonly stack?: string
  readonly code?: string | number
  readonly retryable?: boolean
  readonly cause?: DescribedError
}

/**
 * Returns an error as a log line shows it. Of any other value it shows only the type, since the value may be
 * a secret.
 */
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

/** Masks before it shortens, since the first half of a secret could not be found. */
function shortened(text: string, mask: MaskText): string {
  if (text.length <= MAX_TEXT) return text
  const masked = mask(text.slice(0, MAX_MASKED), { cut: text.length > MAX_MASKED })
  return `${masked.slice(0, MAX_TEXT)}…`
}

export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'> & {
  child(bindings: { readonly [name: string]: unknown }): Logger
}

/**
 * The values of these properties, on the first levels of the logged object, never go into a line.
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
  /** Values that no line may show, in any encoding. The list may grow. */
  readonly secrets?: readonly string[]
  /** The stream to which lines go; default stderr. */
  readonly write?: ((line: string) => void) | undefined
}

/**
 * Makes a logger of that name and level; an unknown level counts as `info`. Lines are written at once, so
 * none is lost when the process ends.
 */
export function createLogger(options: LoggerOptions): Logger {
  const level = LOG_LEVELS.find(known => known === options.level) ?? 'info'
  const redact = {
    paths: DEPTHS.flatMap(depth => SENSITIVE_PROPERTIES.map(name => depth + name)),
    censor: '***',
  }
  const { secrets = [] } = options
  const described = (error: unknown): DescribedError =>
    describedError(error, (text, options) => redactText(text, secrets, options))
  const serializers = { err: described }
  const formatters = { log: (logged: object) => withoutErrorObjects(logged, described) }
  return pino({ name: options.name, level, redact, serializers, formatters }, destinationOf(options))
}

/** Shows an error under any name as it shows one under `err`. */
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
