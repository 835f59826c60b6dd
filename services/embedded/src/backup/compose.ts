/**
 * Backs up the log of a folder, also while a process works in it, and restores it. Everything else in the
 * folder, except the key of the vault, follows from the log.
 */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { diskFailure } from '@sluice/domain/disk-failure'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import { damageOf, translate } from '@sluice/message-log/adapters/sqlite/errors'
import { lockForThisProcess } from '@sluice/message-log/adapters/sqlite/lock'
import { openFileToRead } from '@sluice/message-log/adapters/sqlite/store'
import { makeFolder } from '@sluice/runtime/make-folder'
import { makeFilesPrivate, writeNewFile } from '@sluice/runtime/private-files'
import { joinedKeys } from '@sluice/secrets/vault/encryption-keys'
import { logFile, makeFolders } from '../state-folder.ts'

/** SQLite copies all pages in one step, so that a writer does not make it begin again. */
const ALL_PAGES = 2 ** 31 - 1
const ABOUT = 'backup.json'
const KEY = 'key'
/** The owner of the folder's resources, beside the log. */
const PROJECT = 'project'
/** These belong to one log. With another log they would be wrong. */
const OF_THE_LOG = [
  ...['log.db-wal', 'log.db-shm', PROJECT],
  ...['state', 'history.db', 'history.db-wal', 'history.db-shm', 'tmp'],
]

const about = z.object({ at: z.iso.datetime() })

/** Backs up a folder's log into `to`, a new or empty folder. The key goes with it only if asked for. */
export async function backUp(
  dataDir: string,
  { to, withKey }: { readonly to: string; readonly withKey: boolean },
): Promise<{ readonly at: string; readonly key: 'copied' | 'left out' | 'none' }> {
  const log = logFile(dataDir)
  if (!existsSync(log))
    throw new SluiceError('usage', `Nothing has run in ${dataDir}, so there is nothing to back up.`)
  makeFilesPrivate()
  try {
    makeFolder(to)
    if (readdirSync(to).length > 0)
      throw new SluiceError('conflict', `${to} is not empty: a backup wants a new folder, or an empty one.`)
    const at = new Date().toISOString()
    await copyLog(log, join(to, 'log.db'))
    const keyFile = join(dataDir, KEY)
    const key = !existsSync(keyFile) ? 'none' : withKey ? 'copied' : 'left out'
    if (key === 'copied') copyFileSync(keyFile, join(to, KEY))
    const project = join(dataDir, PROJECT)
    if (existsSync(project)) copyFileSync(project, join(to, PROJECT))
    // This file is written last. So a backup that was cut off lacks it.
    writeNewFile(join(to, ABOUT), `${JSON.stringify({ at })}\n`)
    return { at, key }
  } catch (error) {
    throw fileError(`${to} cannot be written`, error)
  }
}

async function copyLog(log: string, copy: string): Promise<void> {
  try {
    const source = new DatabaseSync(log, { readOnly: true })
    try {
      await backup(source, copy, { rate: ALL_PAGES })
    } finally {
      source.close()
    }
  } catch (error) {
    rmSync(copy, { force: true })
    throw (
      diskFailure(`${copy} cannot be written`, error) ??
      translate(damageOf(log, error) === null ? copy : log, error)
    )
  }
}

/** Returns the error for a file that cannot be read or written. A SluiceError stays the same. */
function fileError(what: string, error: unknown): SluiceError {
  if (isSluiceError(error)) return error
  return (
    diskFailure(what, error) ?? new SluiceError('config', `${what}: ${messageOf(error)}`, { cause: error })
  )
}

/**
 * Restores a backup. Rejects with `conflict` if a process works in the folder, or if it has a log and
 * `replaces` is false. A log that is replaced stays beside the restored one, as `log.db.replaced`, and its
 * keys stay in the key file. If the process is killed on the way, the folder has either its old log or the
 * log of the backup, and all of it.
 */
export async function restore(
  dataDir: string,
  {
    from,
    replaces,
    tell,
  }: { readonly from: string; readonly replaces: boolean; readonly tell: (notice: string) => void },
): Promise<{ readonly at: string }> {
  const { at } = readAbout(from)
  const log = logFile(dataDir)
  makeFolders(dataDir, tell)
  const lock = lockForThisProcess(log)
  const fresh = `${log}.restored`
  try {
    if (!replaces) assertNothingReplaced({ from, dataDir, at })
    copyPrivately(join(from, 'log.db'), fresh)
    await assertWhole(fresh)
    joinKeys(from, dataDir)
    const replaced = existsSync(log) ? keepBeside(log) : null
    for (const name of OF_THE_LOG) rmSync(join(dataDir, name), { recursive: true, force: true })
    renameSync(fresh, log)
    const project = join(from, PROJECT)
    if (existsSync(project)) copyPrivately(project, join(dataDir, PROJECT))
    if (replaced !== null) tell(`The log that was here is now ${replaced}. Remove it once nobody needs it.`)
  } finally {
    rmSync(fresh, { force: true })
    lock.release()
  }
  makeFolders(dataDir, tell)
  return { at }
}

function readAbout(from: string): z.output<typeof about> {
  const file = join(from, ABOUT)
  try {
    return about.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    const message = `${from} is no backup, or one that was cut off: it has no ${ABOUT} that this user can read, which \`sluice backup\` writes last.`
    throw new SluiceError('missing-file', message, { cause: error })
  }
}

function assertNothingReplaced({
  from,
  dataDir,
  at,
}: {
  readonly from: string
  readonly dataDir: string
  readonly at: string
}): void {
  if (existsSync(logFile(dataDir)))
    throw new SluiceError(
      'conflict',
      `${dataDir} has a log: \`--replace\` puts the backup in its place, and Sluice then forgets what it has sent since ${at}.`,
    )
  for (const name of [KEY, PROJECT]) {
    const [backedUp, own] = [join(from, name), join(dataDir, name)]
    if (existsSync(backedUp) && existsSync(own) && !readFileSync(own).equals(readFileSync(backedUp)))
      throw new SluiceError(
        'conflict',
        `${own} differs from the one in the backup: with \`--replace\`, ${name === KEY ? 'the keys of both are kept' : 'the one in the backup replaces it'}.`,
      )
  }
}

/** Copies a file to the disk, for this user alone, since others may have the right to read the backup. */
function copyPrivately(from: string, to: string): void {
  try {
    copyFileSync(from, to)
    chmodSync(to, 0o600)
    const file = openSync(to, 'r+')
    try {
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw fileError(`${from} cannot be copied to ${to}`, error)
  }
}

async function assertWhole(file: string): Promise<void> {
  try {
    const { db, tidy } = openFileToRead(file)
    try {
      const [found] = db.prepare('PRAGMA quick_check(1)').all()
      if (found?.['quick_check'] !== 'ok') throw new Error(String(found?.['quick_check']))
    } finally {
      db.close()
      tidy()
    }
    // This throws for a log of another version of Sluice.
    await createSqliteLog({ file, readOnly: true })[Symbol.asyncDispose]()
  } catch (error) {
    throw new SluiceError('corrupt', `The log of the backup cannot be used: ${messageOf(error)}`, {
      cause: error,
    })
  } finally {
    rmSync(`${file}-lock`, { force: true })
  }
}

/** Adds the keys of the backup to those of the folder, so that the secrets of either log can be read. */
function joinKeys(from: string, dataDir: string): void {
  const [backedUp = '', own = ''] = [from, dataDir].map(dir => {
    const file = join(dir, KEY)
    return existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
  })
  const both = joinedKeys(backedUp, own)
  if (both === own || both === '') return
  const file = join(dataDir, `${KEY}.restored`)
  rmSync(file, { force: true })
  writeNewFile(file, `${both}\n`)
  renameSync(file, join(dataDir, KEY))
}

/**
 * Gives the log a second name, under which it stays, and returns that name. A log that was replaced earlier
 * keeps its own name.
 */
function keepBeside(log: string): string {
  takeInJournal(log)
  const kept = freeName(`${log}.replaced`, log)
  // A damaged log may still have its journal.
  for (const end of ['', '-wal']) {
    rmSync(`${kept}${end}`, { force: true })
    if (existsSync(`${log}${end}`)) linkOrCopy(`${log}${end}`, `${kept}${end}`)
  }
  return kept
}

/** Merges the journal of a killed process into the log, if the log can be read. */
function takeInJournal(log: string): void {
  try {
    const database = new DatabaseSync(log)
    try {
      const found = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()
      if (found?.['busy'] === 0) return
    } finally {
      database.close()
    }
  } catch (error) {
    if (damageOf(log, error) !== null) return
    throw translate(log, error)
  }
  throw new SluiceError(
    'conflict',
    `${log} is being read, such as by \`sluice backup\`: wait until that has ended.`,
    { retryable: true },
  )
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch {
    // Some file systems have no links.
    copyPrivately(from, to)
  }
}

/**
 * Returns the name, or one with a number behind it. A name that the file itself has already counts as free.
 */
function freeName(name: string, file: string): string {
  const { ino } = statSync(file)
  for (let number = 1; ; number += 1) {
    const path = number === 1 ? name : `${name}-${number}`
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined || found.ino === ino) return path
  }
}
