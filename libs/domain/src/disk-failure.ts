/**
 * True for what operating systems and the databases on top of them say where a disk is full, over its quota,
 * read-only or failing, or a file has reached the largest size that its process may give it.
 */
export function saysDiskFailed(message: string): boolean {
  return DISK_FAILURE.test(message)
}

const DISK_FAILURE =
  /No space left|ENOSPC|EDQUOT|Disk quota|File too large|EFBIG|Could not write|EROFS|Read-only file system|EIO\b/i
