/** Every reason for which Sluice refuses or gives up, as a closed list that callers may switch over. */
export type ErrorCode =
  | 'usage' // wrong command line
  | 'config' // a resource file is wrong
  | 'template' // a Liquid template is wrong
  | 'query' // the source's database refuses the model's SQL
  | 'missing-file' // a file that the model or a reference names is not there
  | 'not-found' // a sync, run or secret that does not exist
  | 'conflict' // somebody else holds what is asked for
  | 'schema-incompatible' // a model's columns changed in a way that readers of the topic cannot follow
  | 'unreachable' // a server, source, Kafka, registry or Redis does not answer
  | 'fenced' // a successor has taken over the partition
  | 'writer-dead' // an earlier send of this writer failed; take over anew
  | 'offset-out-of-range' // a position that the log no longer, or not yet, has
  | 'corrupt' // a stored record or file is not what it has to be
  | 'aborted' // the caller's signal ended a wait
  | 'internal' // a bug in Sluice

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
  /** True when the same call may succeed later without anybody changing anything. */
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

/** True for a SluiceError, of the given code where one is named. */
export function isSluiceError(error: unknown, code?: ErrorCode): error is SluiceError {
  return error instanceof SluiceError && (code === undefined || error.code === code)
}
