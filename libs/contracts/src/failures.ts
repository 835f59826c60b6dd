/** Errors as they cross from one thread to another, which takes no classes along. */
import { type ErrorDetail, isErrorCode, messageOf, SluiceError } from './errors.ts'

export interface Failure {
  readonly code: string
  readonly message: string
  readonly details: readonly ErrorDetail[]
}

/** Of an error that is no `SluiceError`, the message alone. */
export function failureOf(error: unknown): Failure {
  if (error instanceof SluiceError)
    return { code: error.code, message: error.message, details: error.details }
  return { code: 'internal', message: messageOf(error), details: [] }
}

export function errorOf({ code, message, details }: Failure): SluiceError {
  return new SluiceError(isErrorCode(code) ? code : 'internal', message, { details })
}
