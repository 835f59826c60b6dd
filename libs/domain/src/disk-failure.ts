import { messageOf, SluiceError } from '@sluice/contracts/errors'

/**
 * True for an error by which an operating system, or a database on top of it, says one of these: the disk is
 * full, over its quota, read-only or failing, or the file has reached the largest size that its process may
 * give it.
 */
export function saysDiskFailed(message: string): boolean {
  return DISK_FAILURE.test(message) || ERROR_CODE.test(message)
}

/** A `disk` error that says what could not be done, why, and what to do; null for anything else. */
export function diskFailure(what: string, cause: unknown): SluiceError | null {
  const said = messageOf(cause)
  if (!saysDiskFailed(said)) return null
  return new SluiceError('disk', `${what}: ${said}. Make room on that disk and run again.`, { cause })
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
