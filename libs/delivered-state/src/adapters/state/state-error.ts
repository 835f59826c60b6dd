/** Translates DuckDB's errors into SluiceErrors. */
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { saysDiskFailed } from '@sluice/domain/disk-failure'

/**
 * The SluiceError for an error of DuckDB. If DuckDB had too little memory, the message names the setting that
 * gives it more.
 */
export function asStateError(error: unknown, file: string): unknown {
  if (isSluiceError(error)) return error
  const diskError = diskErrorOf(error, file)
  if (diskError !== null) return diskError
  const message = messageOf(error)
  // A checkpoint that lacks memory invalidates the open database, and not the file.
  if (/out of memory|failed to (pin|allocate)|could not allocate/i.test(message))
    return new SluiceError(
      'internal',
      `The delivered state ${file} needs more memory than its share: set SLUICE_MEMORY higher, or let the model select fewer or shorter columns. ${message}`,
      { cause: error },
    )
  if (/checksum|corrupt|serializ|database has been invalidated|INTERNAL Error|FATAL Error/i.test(message))
    return new SluiceError('corrupt', `The delivered state ${file} cannot be trusted: ${message}`, {
      cause: error,
    })
  return new SluiceError('internal', `The delivered state ${file} fails: ${message}`, { cause: error })
}

/**
 * A `disk` error where the state's file could not be written; null for anything else. A database that has
 * failed so calls itself invalid afterwards, though nothing in its file is.
 */
export function diskErrorOf(error: unknown, file: string): SluiceError | null {
  const text = messageOf(error)
  if (!saysDiskFailed(text)) return null
  const message =
    `The delivered state ${file} cannot be written: ${text.split('\n')[0] ?? text}. ` +
    'Make room on that disk; it is a cache, and nothing was lost.'
  return new SluiceError('disk', message, { cause: error })
}
