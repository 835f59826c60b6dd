/** Turns errors into the problem details of the API (RFC 9457). */
import { STATUS_CODES } from 'node:http'
import type { Problem } from '@sluice/contracts/api'
import {
  isSluiceError,
  SluiceError,
  VersionConflict,
  WrongState,
  type ErrorCode,
} from '@sluice/contracts/errors'

export const PROBLEM_TYPE = 'application/problem+json'

/** The status of each code, unless the caller of `problemOf` knows better. */
const STATUS: { readonly [code in ErrorCode]: number } = {
  usage: 400,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  config: 422,
  template: 422,
  query: 422,
  'missing-file': 422,
  'schema-incompatible': 422,
  'too-large': 422,
  unreachable: 503,
  aborted: 503,
  fenced: 503,
  'writer-dead': 503,
  'too-long': 503,
  disk: 500,
  'offset-out-of-range': 500,
  'lost-topic': 500,
  corrupt: 500,
  internal: 500,
}

const CONFLICT = 409
const PRECONDITION = 412

/** All statuses of problems that a route may answer with, for the OpenAPI document. */
export const PROBLEM_STATUSES: readonly number[] = [
  ...new Set([...Object.values(STATUS), 401, 405, 408, 412, 413, 414, 415, 429, 431]),
].sort((a, b) => a - b)

export function problemOf(error: SluiceError, status = STATUS[error.code]): Problem {
  return {
    type: `urn:sluice:error:${error.code}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: error.message,
    code: error.code,
    retryable: error.retryable,
    errors: error.details.map(detail => ({ ...detail })),
    ...(error instanceof VersionConflict ? { versions: { ...error.versions } } : {}),
  }
}

/**
 * Turns any thrown value into a problem. An error that is not of Sluice is a bug, and its message may hold
 * anything, so clients do not see it. Errors of HTTP itself, such as a body that is too large, come from
 * fastify with their status.
 */
export function problemFrom(thrown: unknown): Problem {
  const error: unknown = thrown instanceof SuppressedError ? thrown.suppressed : thrown
  if (error instanceof VersionConflict && error.isPrecondition) return problemOf(error, PRECONDITION)
  if (error instanceof WrongState) return problemOf(error, CONFLICT)
  if (isSluiceError(error)) return problemOf(error)
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
  if (error instanceof Error && typeof status === 'number' && status >= 400 && status < 500)
    return problemOf(new SluiceError('usage', error.message), status)
  return problemOf(
    new SluiceError('internal', 'This is a bug in Sluice: the log of the server has the error.'),
  )
}
