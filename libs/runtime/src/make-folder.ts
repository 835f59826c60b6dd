import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { diskFailure } from '@sluice/domain/disk-failure'

/**
 * Makes a folder, and missing folders above it, unless they exist. Throws `disk` if the disk is full, or else
 * the error of the operating system. Node's own `recursive` would never return in `/proc` and `/sys`: these
 * refuse new folders with ENOENT, which Node takes for a missing parent, again and again.
 */
export function makeFolder(path: string): void {
  const absolute = resolve(path)
  if (isFolder(absolute)) return
  const parent = dirname(absolute)
  if (parent !== absolute) makeFolder(parent)
  try {
    mkdirSync(absolute)
  } catch (error) {
    // Another process may have made it meanwhile.
    if (!isFolder(absolute)) throw diskFailure(`The folder ${absolute} cannot be made`, error) ?? error
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  } catch {
    return false
  }
}
