/**
 * Makes files that only the user of this process may read, since they have rows of customers, requests and
 * answers.
 */
import { chmodSync, existsSync, lstatSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { diskFailure } from '@sluice/domain/disk-failure'
import { makeFolder } from './make-folder.ts'

const OPEN_TO_OTHERS = 0o077

/** Lets no other user read, write or enter the files that this process makes from now on. */
export function makeFilesPrivate(): void {
  // The mask belongs to the process, and its threads cannot change it.
  if (isMainThread) process.umask(OPEN_TO_OTHERS)
}

/**
 * Writes a new file, and waits until it is on the disk. Throws `disk` if the disk is full, and removes the
 * file, so that the next process writes all of it.
 */
export function writeNewFile(file: string, text: string, { mode = 0o600 } = {}): void {
  try {
    writeFileSync(file, text, { flag: 'wx', mode, flush: true })
  } catch (error) {
    const failure = diskFailure(`${file} cannot be written`, error)
    if (failure !== null) rmSync(file, { force: true })
    throw failure ?? error
  }
}

/** Does the same, unless another process writes the file meanwhile. Its text stays then. */
export function writeIfMissing(file: string, text: string): void {
  try {
    writeNewFile(file, text)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

/**
 * Makes folders below `folder`, and makes them private, with all that this process makes from now on.
 * Existing files that are open to other users become private, and `tell` gets a sentence about it. Links, and
 * the files behind them, stay the same.
 */
export function makePrivateFolders(
  folder: string,
  { below, tell }: { readonly below: readonly string[]; readonly tell: (notice: string) => void },
): void {
  makeFilesPrivate()
  for (const name of below) makeFolder(join(folder, name))
  hideFromGit(folder)
  const narrowed: string[] = []
  const left: string[] = []
  narrow(folder, { narrowed, left })
  const [first] = narrowed
  if (first !== undefined)
    tell(`${first} ${more(narrowed)} open to other users of this machine. Now only its owner may read it.`)
  const [open] = left
  if (open !== undefined)
    tell(`${open} ${more(left)} open to other users of this machine, and this user may not change that.`)
}

/** Writes an ignore file, since nothing in the folder belongs in a repository. */
function hideFromGit(folder: string): void {
  const file = join(folder, '.gitignore')
  if (!existsSync(file)) writeIfMissing(file, '*\n')
}

function narrow(path: string, found: { readonly narrowed: string[]; readonly left: string[] }): void {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  // The user may have replaced the folder by a link, to another disk for example.
  if (stats === undefined || stats.isSymbolicLink()) return
  if ((stats.mode & OPEN_TO_OTHERS) !== 0) {
    try {
      chmodSync(path, stats.mode & 0o700)
      found.narrowed.push(path)
    } catch {
      found.left.push(path)
    }
  }
  if (stats.isDirectory()) for (const name of readdirSync(path)) narrow(join(path, name), found)
}

function more(paths: readonly string[]): string {
  return paths.length === 1 ? 'was' : `and ${paths.length - 1} more below it were`
}
