/**
 * Every reason for which Sluice refuses something or gives up: a closed list that callers may switch over.
 */
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
  /** Another process, or another run, has what is asked for. */
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
  /** A position that the log does not have any more, or does not have yet. */
  'offset-out-of-range',
  /** Somebody deleted a topic of a sync, or put an empty one in its place. */
  'lost-topic',
  /** A stored record or file cannot be read as what it has to be. */
  'corrupt',
  /** The caller's signal ended a wait. */
  'aborted',
  /** A bug in Sluice. */
  'internal',
] as const
export type ErrorCode = (typeof ERROR_CODES)[number]

/** True for text that is one of the codes. */
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
  /** True if the same call may succeed later though nobody changes anything. */
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

/** The state of a run, or of this server, does not allow what somebody asked for. */
export class WrongState extends SluiceError {
  constructor(message: string) {
    super('usage', message)
  }
}

/** Somebody else has changed what a change is based on. `isPrecondition`: the caller asked by `If-Match`. */
export class VersionConflict extends SluiceError {
  readonly versions: { readonly yours: number; readonly present: number }
  readonly isPrecondition: boolean

  constructor(
    message: string,
    of: {
      readonly versions: { readonly yours: number; readonly present: number }
      readonly details?: readonly ErrorDetail[]
      readonly isPrecondition?: boolean
    },
  ) {
    super('conflict', message, { details: of.details ?? [] })
    this.versions = of.versions
    this.isPrecondition = of.isPrecondition ?? false
  }
}

/** True for a SluiceError; if a code is given, for one of that code. */
export function isSluiceError(error: unknown, code?: ErrorCode): error is SluiceError {
  return error instanceof SluiceError && (code === undefined || error.code === code)
}

/** The message of an error; anything else that was thrown, as text. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** An error as it crosses from one thread to another, which takes no classes along. */
export interface Failure {
  readonly code: string
  readonly message: string
  readonly details: readonly ErrorDetail[]
}

/**
 * Returns what another process is told of an error. An error that is no `SluiceError` has its message alone.
 */
export function failureOf(error: unknown): Failure {
  if (error instanceof SluiceError)
    return { code: error.code, message: error.message, details: error.details }
  return { code: 'internal', message: messageOf(error), details: [] }
}

export function errorOf({ code, message, details }: Failure): SluiceError {
  return new SluiceError(isErrorCode(code) ? code : 'internal', message, { details })
}
