import { messageOf, SluiceError } from '@sluice/contracts/errors'

/**
 * True for a message of an operating system, or of a database, that the disk is full, over its quota,
 * read-only or failing, or that the file has reached the largest size that its process may give it.
 */
export function saysDiskFailed(message: string): boolean {
  return DISK_FAILURE.test(message) || ERROR_CODE.test(message)
}

/** Returns a `disk` error that begins with `what` could not be done; null for any other cause. */
export function diskFailure(what: string, cause: unknown): SluiceError | null {
  const message = messageOf(cause)
  if (!saysDiskFailed(message)) return null
  return new SluiceError('disk', `${what}: ${message}. Make room on that disk and run again.`, { cause })
}

/** True for the result codes of SQLite for a full or failing disk (https://www.sqlite.org/rescode.html). */
export function isSqliteDiskCode(code: number): boolean {
  const primary = code & 0xff
  return primary === SQLITE_IO_ERROR || primary === SQLITE_FULL
}

const SQLITE_IO_ERROR = 10
export const SQLITE_FULL = 13

const DISK_FAILURE = /No space left|Disk quota|File too large|Could not write|Read-only file system/i
const ERROR_CODE = /\b(?:ENOSPC|EDQUOT|EFBIG|EROFS|EIO)\b/
