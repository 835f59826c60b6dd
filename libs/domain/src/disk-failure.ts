/**
 * True for what operating systems and the databases on top of them say where a disk is full, over its quota,
 * read-only or failing, or a file has reached the largest size that its process may give it.
 */
export function saysDiskFailed(message: string): boolean {
  return DISK_FAILURE.test(message) || ERROR_CODE.test(message)
}

const DISK_FAILURE = /No space left|Disk quota|File too large|Could not write|Read-only file system/i
const ERROR_CODE = /\b(?:ENOSPC|EDQUOT|EFBIG|EROFS|EIO)\b/
