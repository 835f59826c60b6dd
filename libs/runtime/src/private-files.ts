/**
 * Files that only the user of this process may read: rows of customers, requests and answers stand in them.
 */
import { chmodSync, existsSync, lstatSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { diskFailure } from '@sluice/domain/disk-failure'
import { makeFolder } from './make-folder.ts'

const OPEN_TO_OTHERS = 0o077

/** From here on, no other user may read, write or enter what this process makes. */
export function makeFilesPrivate(): void {
  // The mask belongs to the process, and a thread of it cannot change it.
  if (isMainThread) process.umask(OPEN_TO_OTHERS)
}

/**
 * Writes a file that is not there yet, and has it on the disk. Throws `disk` if the disk is full, and then
 * leaves nothing of the file: the next process writes it whole.
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

/** The same, where another process may write the file meanwhile: then its text stays. */
export function writeIfMissing(file: string, text: string): void {
  try {
    writeNewFile(file, text)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

/**
 * Makes folders below `folder`, and all that this process makes from here on, private. Narrows what is there
 * already and open to other users, and tells that once. Links are left alone, with what they lead to.
 */
export function makePrivateFolders(
  folder: string,
  of: { readonly below: readonly string[]; readonly tell: (notice: string) => void },
): void {
  makeFilesPrivate()
  for (const name of of.below) makeFolder(join(folder, name))
  hideFromGit(folder)
  const narrowed: string[] = []
  const left: string[] = []
  narrow(folder, { narrowed, left })
  const [first] = narrowed
  if (first !== undefined)
    of.tell(`${first} ${more(narrowed)} open to other users of this machine. Now only its owner may read it.`)
  const [open] = left
  if (open !== undefined)
    of.tell(`${open} ${more(left)} open to other users of this machine, and this user may not change that.`)
}

/** Nothing in the folder belongs into a repository, whatever the ignore file above it says. */
function hideFromGit(folder: string): void {
  const file = join(folder, '.gitignore')
  if (!existsSync(file)) writeIfMissing(file, '*\n')
}

function narrow(path: string, found: { readonly narrowed: string[]; readonly left: string[] }): void {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  // A link in the place of the folder itself is the user's own: to another disk, for example.
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
