/** The kinds of errors: a closed list, which callers may switch over. */
export const ERROR_CODES = [
  /** Wrong command line. */
  'usage',
  /** A resource file is wrong. */
  'config',
  /** A Liquid template is wrong. */
  'template',
  /** The source's database refuses the model's SQL. */
  'query',
  /** A file that the model or a reference names does not exist. */
  'missing-file',
  /** A sync, run or secret that does not exist. */
  'not-found',
  /** The token is missing or unknown, or the caller lacks the role that is wanted. */
  'forbidden',
  /** Another process, or another run, is using the thing that the caller wants. */
  'conflict',
  /** A model's columns changed in a way that readers of the topic cannot follow. */
  'schema-incompatible',
  /** A server, source, Kafka, registry or Redis does not answer. */
  'unreachable',
  /** A run lasted for longer than its sync allows. */
  'too-long',
  /** A local disk is full, or cannot be written. */
  'disk',
  /** A successor has taken over the partition. */
  'fenced',
  /** An earlier send of this writer failed; take over again. */
  'writer-dead',
  /** A record, or a value that is to become one, is larger than its topic takes. */
  'too-large',
  /** The log has deleted the records at this offset, or has none there yet. */
  'offset-out-of-range',
  /** Somebody deleted a topic of a sync, or put an empty one in its place. */
  'lost-topic',
  /** A stored record or file is not in the form that its reader expects. */
  'corrupt',
  /** The caller's signal ended a wait. */
  'aborted',
  /** A bug in Sluice. */
  'internal',
] as const
export type ErrorCode = (typeof ERROR_CODES)[number]

export function isErrorCode(text: string): text is ErrorCode {
  return ERROR_CODES.some(code => code === text)
}

/** One place in a user's file, with what is wrong there. `line` and `column` count from 1. */
export interface ErrorDetail {
  readonly file?: string
  readonly line?: number
  readonly column?: number
  readonly field?: string
  readonly message: string
}

export interface SluiceErrorOptions {
  readonly cause?: unknown
  /** True if the same call may succeed later without any change. */
  readonly retryable?: boolean
  readonly details?: readonly ErrorDetail[]
}

/** The one base class of all errors that Sluice throws on purpose. */
export class SluiceError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly details: readonly ErrorDetail[]

  constructor(code: ErrorCode, message: string, options: SluiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'SluiceError'
    this.code = code
    this.retryable = options.retryable ?? false
    this.details = options.details ?? []
  }
}

/** The caller's request does not fit the state of the run, or of this server. */
export class WrongState extends SluiceError {
  constructor(message: string) {
    super('usage', message)
  }
}

/**
 * Somebody else has changed the resource since the version that the caller's change is based on.
 * `isPrecondition` is true if the caller named that version by `If-Match`.
 */
export class VersionConflict extends SluiceError {
  readonly versions: { readonly yours: number; readonly present: number }
  readonly isPrecondition: boolean

  constructor(
    message: string,
    options: {
      readonly versions: { readonly yours: number; readonly present: number }
      readonly details?: readonly ErrorDetail[]
      readonly isPrecondition?: boolean
    },
  ) {
    super('conflict', message, { details: options.details ?? [] })
    this.versions = options.versions
    this.isPrecondition = options.isPrecondition ?? false
  }
}

/** True for a `SluiceError`, of this code if one is given. */
export function isSluiceError(error: unknown, code?: ErrorCode): error is SluiceError {
  return error instanceof SluiceError && (code === undefined || error.code === code)
}

/** The message of an error, or any other thrown value as text. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** An error in the form in which it crosses to another thread or process, where classes are lost. */
export interface Failure {
  readonly code: string
  readonly message: string
  readonly details: readonly ErrorDetail[]
}

/** Turns an error into plain data. An error that is no `SluiceError` keeps its message alone. */
export function failureOf(error: unknown): Failure {
  if (error instanceof SluiceError)
    return { code: error.code, message: error.message, details: error.details }
  return { code: 'internal', message: messageOf(error), details: [] }
}

/** Makes the error again that `failureOf` turned into data. */
export function errorOf({ code, message, details }: Failure): SluiceError {
  return new SluiceError(isErrorCode(code) ? code : 'internal', message, { details })
}
