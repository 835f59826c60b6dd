/**
 * Keeps a second process away from a log. Any number of processes may read a log together, as long as none
 * writes to it. The lock is SQLite's own, exclusive or shared, on a small file beside the log. The lock needs
 * no native module, and the operating system frees it when the process ends, even by a crash. A text file
 * names the owner for the error of a process that is refused.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { SluiceError } from '@sluice/contracts/errors'
import { damageOf, isBusy, translate } from './errors.ts'

export interface ProcessLock {
  release(): void
}

/** A transaction that has read something holds SQLite's shared lock until it ends. */
const SHARED = 'BEGIN; SELECT count(*) FROM sqlite_schema'
const EXCLUSIVE = 'PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE'

/**
 * Takes the lock of `file`, or throws a SluiceError `conflict` that names the process which has it. Does not
 * wait.
 */
export function lockForThisProcess(
  file: string,
  { shared = false }: { readonly shared?: boolean } = {},
): ProcessLock {
  const ownerFile = `${file}-owner`
  const lockFile = `${file}-lock`
  const lock = openLock(lockFile)
  try {
    lock.exec(shared ? SHARED : EXCLUSIVE)
  } catch (error) {
    lock.close()
    if (isBusy(error)) throw conflict(file, ownerFile, error)
    throw unusable(lockFile, error)
  }
  if (shared) return { release: () => lock.close() }
  try {
    writeFileSync(ownerFile, `${process.pid}\n`)
  } catch {
    // The lock works without this file. The message then names no process.
  }
  return {
    release() {
      rmSync(ownerFile, { force: true })
      lock.close()
    },
  }
}

function openLock(lockFile: string): DatabaseSync {
  try {
    return new DatabaseSync(lockFile)
  } catch (error) {
    throw unusable(lockFile, error)
  }
}

/** Returns the error for a lock file that cannot be used. The file is empty, so removing it loses nothing. */
function unusable(lockFile: string, cause: unknown): SluiceError {
  const damage = damageOf(lockFile, cause)
  if (damage === null) return translate(lockFile, cause)
  const remedy =
    'Remove it while no process works in the folder: the next one creates it again, and nothing is lost'
  return new SluiceError('corrupt', `${lockFile} is not the lock of a log: ${damage}. ${remedy}`, { cause })
}

function conflict(file: string, ownerFile: string, cause: unknown): SluiceError {
  const pid = ownerPid(ownerFile)
  const owner =
    pid === null
      ? 'another process'
      : pid === process.pid
        ? 'another thread of this process'
        : `process ${pid}`
  const todo =
    pid === null || pid === process.pid ? 'wait until it has ended' : `wait until it has ended, or stop it`
  return new SluiceError(
    'conflict',
    `${file} is in use by ${owner}; only one process at a time may work with it: ${todo}`,
    { cause, retryable: true },
  )
}

/**
 * Returns the process that wrote the owner file. Null if the file does not exist yet, or names a dead
 * process. The number of a dead process may now belong to an unrelated process, which nobody should stop.
 */
function ownerPid(ownerFile: string): number | null {
  try {
    const pid = Number.parseInt(readFileSync(ownerFile, 'utf8'), 10)
    if (!Number.isSafeInteger(pid) || pid <= 0) return null
    process.kill(pid, 0)
    return pid
  } catch {
    return null
  }
}
