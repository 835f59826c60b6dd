/** The errors of all sources on database servers. */
import { type ErrorDetail, messageOf, SluiceError } from '@sluice/contracts/errors'
import { boundedText } from '@sluice/domain/bounded-text'
import { isPrivateAddressError } from '@sluice/http-sender/egress-guard'
import type { ModelSpec } from '@sluice/contracts/resources'
import { diskErrorOf, duckdbMessage, type SqlPlace } from '../duckdb/errors.ts'
import type { LoadedColumn } from './load-rows.ts'
import { MAX_ROW_BYTES } from './row-text.ts'
import { modelCalled } from '../query/model-columns.ts'

/** The names for the messages of a source. */
export interface ServerNames {
  /** The name of the source. */
  readonly source: string
  /** The server, such as `PostgreSQL at 127.0.0.1:5432`. */
  readonly server: string
  /** The password and all other secrets of the source, which messages mask. */
  readonly secrets: readonly string[]
  /** The name of the secret that is the password. Null if the source has none. */
  readonly passwordName: string | null
}

const MASK = '***'

/** Masks all secrets in a text, however short they are. If one secret contains another, both are masked. */
export function masked(text: string, secrets: readonly string[]): string {
  const found = secrets.filter(secret => secret !== '').sort((a, b) => b.length - a.length)
  return found.reduce((rest, secret) => rest.replaceAll(secret, MASK), text)
}

/** A server's message is cut here, since it may have any length. */
const MAX_MESSAGE_BYTES = 10_000

/**
 * A server may send this much beside the rows of a model: its part of a login, and descriptions of columns.
 */
export const MAX_ANSWER_BYTES = 16_000_000

/** The server sent more than a short answer. */
export class AnswerTooLong extends Error {
  constructor(maxBytes: number) {
    super(`it sent more than ${maxBytes / 1_000_000} MB where a short answer was expected`)
  }
}

/** Returns the beginning of the server's message, on one line and without secrets. */
export function serverMessage(error: unknown, { secrets }: ServerNames): string {
  const text = masked(messageOf(error), secrets)
  const lines = boundedText(text.trim(), MAX_MESSAGE_BYTES).split('\n')
  return lines
    .map(line => line.trim())
    .filter(line => line !== '')
    .join(' ')
}

export function cannotConnect(
  error: unknown,
  names: ServerNames,
  why = serverMessage(error, names),
): SluiceError {
  const message = `Source ${names.source}: cannot connect to ${names.server}: ${why}`
  // Trying again would not help.
  if (error instanceof Error && isPrivateAddressError(error))
    return new SluiceError('config', message, { cause: error })
  return new SluiceError('unreachable', message, { cause: error, retryable: true })
}

/**
 * The server answers, but refuses a login with these credentials. The message says what to do if the password
 * may be `wrong`.
 */
export function refusesLogin(error: unknown, names: ServerNames, password?: 'wrong'): SluiceError {
  const { source, server, passwordName } = names
  const secret = passwordName === null ? '`password`' : `the secret ${passwordName}`
  const advice = password === undefined ? '' : `. Check the user in \`url\`, and set ${secret} anew`
  const message = `Source ${source}: ${server} refuses the login: ${serverMessage(error, names)}${advice}`
  return new SluiceError('config', message, { cause: error })
}

export function connectionLost(error: unknown, names: ServerNames, model: ModelSpec): SluiceError {
  const message =
    `Source ${names.source}: the connection to ${names.server} was lost while the query of ${modelCalled(model.name)} ran: ` +
    `${serverMessage(error, names)}. Nothing of its result was taken.`
  return new SluiceError('unreachable', message, { cause: error, retryable: true })
}

/** The error for a result with another number of rows than the server reports. */
export function incomplete(
  names: ServerNames,
  model: ModelSpec,
  rows: { readonly sent: number; readonly read: number },
): SluiceError {
  const message =
    `Source ${names.source}: ${names.server} sent ${rows.sent} rows for ${modelCalled(model.name)}, ` +
    `and ${rows.read} of them could be read. Nothing of its result was taken.`
  return new SluiceError('internal', message, { retryable: true })
}

export function tookTooLong(
  error: unknown,
  names: ServerNames,
  { model, timeoutMs }: { readonly model: ModelSpec; readonly timeoutMs: number },
): SluiceError {
  const message = `The query of ${modelCalled(model.name)} took longer than the time-out of source ${names.source}, ${timeoutMs} ms.`
  return new SluiceError('query', message, { cause: error, retryable: true })
}

/** The advice about a table that the server does not find, or does not let the login read. */
export const ADVICE = {
  missing: 'check its name, and its schema',
  closed: 'let an administrator grant the user in `url` the right to read it (GRANT SELECT)',
} as const

/** The error with the server's message about a model's SQL, and the place in it if that is known. */
export function queryFailed(
  error: unknown,
  names: ServerNames,
  failure: {
    readonly model: ModelSpec
    readonly place: SqlPlace | null
    readonly reason: string
    readonly advice?: keyof typeof ADVICE | undefined
    readonly retryable?: boolean
  },
): SluiceError {
  const { model, advice, retryable = false } = failure
  const reason = advice === undefined ? failure.reason : `${failure.reason}; ${ADVICE[advice]}`
  // For a table, Sluice wrote the SQL.
  const isTable = model.sql === undefined
  const place = isTable ? null : failure.place
  const where = place === null ? '' : ` (line ${place.line}, column ${place.column} of its SQL)`
  const detail: ErrorDetail = { field: isTable ? 'table' : 'sql', message: reason, ...(place ?? {}) }
  const message = `The query of ${modelCalled(model.name)} fails in source ${names.source}${where}: ${reason}`
  return new SluiceError('query', message, { cause: error, details: [detail], retryable })
}

/** The error for rows that DuckDB or the disk could not take. */
export function cannotLoad(
  error: unknown,
  names: ServerNames,
  extract: { readonly model: ModelSpec; readonly file: string; readonly columns: readonly LoadedColumn[] },
): SluiceError {
  const text = duckdbMessage(error)
  const { model, file, columns } = extract
  const diskError = diskErrorOf(error, { model: model.name, file })
  if (diskError !== null) return diskError
  // If memory is short, the message of a commit differs from the message of other statements.
  if (/Out of Memory Error|failed to (pin|allocate)/.test(text)) {
    const message =
      `The rows of ${modelCalled(model.name)} from source ${names.source} need more memory than loading them may take: ` +
      `set SLUICE_MEMORY higher, or let the model select fewer or shorter columns. ${firstLine(text)}`
    return new SluiceError('query', message, { cause: error, details: [{ field: 'sql', message }] })
  }
  if (/Maximum line size/.test(text))
    return new SluiceError(
      'query',
      `A row of ${modelCalled(model.name)} is longer than ${MAX_ROW_BYTES / 1_000_000} MB.`,
      { cause: error },
    )
  const index = /column "?c(\d+)"?/.exec(text)?.[1]
  const column = index === undefined ? undefined : columns[Number(index)]?.name
  const reason = serverMessage(/Could not convert string[^\n]*/.exec(text)?.[0] ?? firstLine(text), names)
  const what = column === undefined ? 'a value' : `a value of column ${column}`
  const message = `The query of ${modelCalled(model.name)} gives ${what} that cannot be carried from source ${names.source}: ${reason}`
  return new SluiceError('query', message, { cause: error, details: [{ field: 'sql', message: reason }] })
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? text
}
