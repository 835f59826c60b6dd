/**
 * Translates PostgreSQL's errors into SluiceErrors. Its codes:
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
import { DatabaseError } from 'pg'
import { isSluiceError, type SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { SqlPlace } from '../duckdb/errors.ts'
import {
  cannotConnect,
  connectionLost,
  queryFailed,
  refusesLogin,
  saidBy,
  type ServerNames,
  tookTooLong,
} from '../server/errors.ts'

/** Codes of a server that answers, but refuses a session with this user, database or password. */
const LOGIN = /^(28|3D000|42501)/
/** Codes which say that the session is over or could not begin: connection exceptions, shutdown, crash. */
const OVER = /^(08|57P0[1-5])/
/** Cancelled, by statement_timeout among others. */
const CANCELLED = '57014'
/** Worth another try: serialization failure (a standby's conflict), deadlock, too little of something. */
const RETRYABLE = /^(40|53|55P03)/

/** For an error while the connection is opened. */
export function connectError(error: unknown, names: ServerNames): SluiceError {
  if (isSluiceError(error)) return error
  if (error instanceof DatabaseError && LOGIN.test(error.code ?? '')) return refusesLogin(error, names)
  if (error instanceof Error && /does not support SSL/.test(error.message))
    return refusesLogin(new Error('it does not take encrypted connections, and `tls` is set'), names)
  // pg's own message if the server asks for a password and the source has none.
  if (error instanceof Error && /client password must be a (non-empty )?string/.test(error.message))
    return refusesLogin(new Error('it asks for a password, and `password` is not set'), names)
  return cannotConnect(error, names)
}

export interface PostgresFailure {
  readonly model: ModelSpec
  readonly timeoutMs: number | null
  /** The model's SQL as it was sent, and the number of Sluice's characters before it. */
  readonly sql: string
  readonly charactersBefore: number
}

/** For an error while a query runs. */
export function queryError(error: unknown, names: ServerNames, of: PostgresFailure): SluiceError {
  if (isSluiceError(error)) return error
  if (!(error instanceof DatabaseError)) return connectionLost(error, names, of.model)
  const code = error.code ?? ''
  if (OVER.test(code)) return connectionLost(error, names, of.model)
  if (code === CANCELLED && of.timeoutMs !== null && /statement timeout/.test(error.message))
    return tookTooLong(error, names, { model: of.model, timeoutMs: of.timeoutMs })
  const hint = error.hint === undefined ? '' : ` (${saidBy(error.hint, names)})`
  return queryFailed(error, names, {
    model: of.model,
    place: placeOf(error.position, of),
    said: `${saidBy(error, names)}${hint}`,
    retryable: RETRYABLE.test(code),
  })
}

/** PostgreSQL counts characters from 1, in the statement that it got. */
function placeOf(position: string | undefined, of: PostgresFailure): SqlPlace | null {
  const offset = Number(position) - 1 - of.charactersBefore
  const characters = Array.from(of.sql)
  if (!(offset >= 0) || offset > characters.length) return null
  const lines = characters.slice(0, offset).join('').split('\n')
  return { line: lines.length, column: Array.from(lines.at(-1) ?? '').length + 1 }
}
