/**
 * Translates SQLite's errors into the port's. A full or failing disk is `disk`, which a retry does not mend.
 * A file that is not a log is `corrupt`. Any other error is `unreachable`.
 */
import { statSync } from 'node:fs'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { isSqliteDiskCode, SQLITE_FULL } from '@sluice/domain/disk-failure'

const BUSY = 5
const LOCKED = 6
const CORRUPT = 11
const NOT_A_DATABASE = 26

/** SQLite's primary result code, or null for an error that is not SQLite's. */
function resultCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null
  return error.errcode & 0xff
}

export function isBusy(error: unknown): boolean {
  const code = resultCode(error)
  return code === BUSY || code === LOCKED
}

/** Says why the file is not a SQLite file. Null if the error has another cause. */
export function damageOf(file: string, error: unknown): string | null {
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) return 'it is a folder'
  const code = resultCode(error)
  return code === CORRUPT || code === NOT_A_DATABASE ? messageOf(error) : null
}

/** Returns the error as a SluiceError that names the file. A SluiceError stays the same. */
export function translate(file: string, error: unknown): SluiceError {
  if (isSluiceError(error)) return error
  const code = resultCode(error)
  const message = messageOf(error)
  const damage = damageOf(file, error)
  if (damage !== null) {
    const remedy = 'Put a copy of it back, or remove it to start over: then every row is sent as added'
    return new SluiceError('corrupt', `${file} is not a log that can be read: ${damage}. ${remedy}`, {
      cause: error,
    })
  }
  if (code !== null && isSqliteDiskCode(code))
    return diskError(file, { cause: error, isFull: code === SQLITE_FULL })
  return new SluiceError('unreachable', `${file} cannot be read or written: ${message}`, {
    cause: error,
    retryable: true,
  })
}

/** Runs `work`, which uses SQLite, and turns its errors into SluiceErrors. */
export function translated<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw translate(file, error)
  }
}

function diskError(
  file: string,
  { cause, isFull }: { readonly cause: unknown; readonly isFull: boolean },
): SluiceError {
  const said = messageOf(cause)
  const what = isFull
    ? `${file} cannot be written: its disk is full (${said}). Make room on that disk and run again`
    : `${file} cannot be read or written: its disk is full or fails (${said}). Check the disk and run again`
  return new SluiceError('disk', `${what}; nothing that was acknowledged is lost.`, { cause })
}
