/** Makes folders that are not there yet. */
import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * Makes a folder and those above it that are missing; one that is there already is fine. Throws what the
 * operating system says. Node's own `recursive` never returns where a folder is there and lets none be made
 * in it (ENOENT below `/proc` and `/sys`), since it takes that for a missing parent, again and again.
 */
export function makeFolder(path: string): void {
  const absolute = resolve(path)
  if (isFolder(absolute)) return
  const parent = dirname(absolute)
  if (parent !== absolute) makeFolder(parent)
  try {
    mkdirSync(absolute)
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if (!isFolder(absolute)) throw error
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  } catch {
    return false
  }
}
