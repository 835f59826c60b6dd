/**
 * Backs up the log of a folder, also while a process works in it, and restores it. All else in the folder
 * follows from the log, but for the key of its vault.
 */
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import { diskFailure } from '@sluice/domain/disk-failure'
import { lockForThisProcess } from '@sluice/message-log/adapters/sqlite/lock'
import { createSqliteLog } from '@sluice/message-log/adapters/sqlite'
import { makeFolder } from '@sluice/runtime/make-folder'
import { makeFilesPrivate, writeNewFile } from '@sluice/runtime/private-files'
import { logFile, makeFolders } from '../state-folder.ts'

/** SQLite copies all pages in one step, so that a writer does not make it begin again. */
const ALL_PAGES = 2 ** 31 - 1
const ABOUT = 'backup.json'
const KEY = 'key'
/** The owner of the folder's resources, beside the log. */
const PROJECT = 'project'
/** These follow from the log. Those of another log would be wrong. */
const CACHES = ['state', 'history.db', 'history.db-wal', 'history.db-shm', 'tmp']

const about = z.object({ at: z.iso.datetime() })

/** Backs up a folder's log into `to`, a new or empty folder. The key goes with it only if asked for. */
export async function backUp(
  dataDir: string,
  { to, withKey }: { readonly to: string; readonly withKey: boolean },
): Promise<{ readonly at: string; readonly hasKey: boolean }> {
  const log = logFile(dataDir)
  if (!existsSync(log))
    throw new SluiceError('usage', `Nothing has run in ${dataDir}, so there is nothing to back up.`)
  makeFilesPrivate()
  makeFolder(to)
  if (readdirSync(to).length > 0)
    throw new SluiceError('conflict', `${to} is not empty: a backup wants a new folder, or an empty one.`)
  const at = new Date().toISOString()
  const copy = join(to, 'log.db')
  const source = new DatabaseSync(log, { readOnly: true })
  try {
    await backup(source, copy, { rate: ALL_PAGES })
  } catch (error) {
    rmSync(copy, { force: true })
    throw diskFailure(`${copy} cannot be written`, error) ?? error
  } finally {
    source.close()
  }
  const keyFile = join(dataDir, KEY)
  const hasKey = withKey && existsSync(keyFile)
  if (hasKey) copyFileSync(keyFile, join(to, KEY))
  const project = join(dataDir, PROJECT)
  if (existsSync(project)) copyFileSync(project, join(to, PROJECT))
  // It comes last, so that a backup that was cut off is known by its absence.
  writeNewFile(join(to, ABOUT), `${JSON.stringify({ at })}\n`)
  return { at, hasKey }
}

/**
 * Restores a backup. Rejects with `conflict` if a process works in the folder, or if it has a log and
 * `replaces` is false. A log that is replaced stays beside the restored one, as `log.db.replaced`.
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
  try {
    const isThere = existsSync(log)
    if (isThere && !replaces)
      throw new SluiceError(
        'conflict',
        `${dataDir} has a log: \`--replace\` puts the backup in its place, and Sluice then forgets what it has sent since ${at}.`,
      )
    const fresh = `${log}.restored`
    rmSync(fresh, { force: true })
    copyFileSync(join(from, 'log.db'), fresh)
    await assertWhole(fresh)
    for (const name of [KEY, PROJECT]) restoreFile(name, { from, dataDir, replaces })
    for (const name of CACHES) rmSync(join(dataDir, name), { recursive: true, force: true })
    if (isThere) renameSync(log, `${log}.replaced`)
    for (const end of ['-wal', '-shm']) rmSync(`${log}${end}`, { force: true })
    renameSync(fresh, log)
  } finally {
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
    const message = `${from} is no backup, or one that was cut off: it has no ${ABOUT} that \`sluice backup\` writes last.`
    throw new SluiceError('missing-file', message, { cause: error })
  }
}

async function assertWhole(file: string): Promise<void> {
  try {
    const database = new DatabaseSync(file, { readOnly: true })
    const [found] = database.prepare('PRAGMA quick_check(1)').all()
    database.close()
    if (found?.['quick_check'] !== 'ok') throw new Error(String(found?.['quick_check']))
    // It throws for a log of another version of Sluice.
    await createSqliteLog({ file, readOnly: true })[Symbol.asyncDispose]()
  } catch (error) {
    rmSync(file, { force: true })
    throw new SluiceError('corrupt', `The log of the backup cannot be used: ${messageOf(error)}`, {
      cause: error,
    })
  } finally {
    rmSync(`${file}-lock`, { force: true })
  }
}

function restoreFile(
  name: string,
  {
    from,
    dataDir,
    replaces,
  }: { readonly from: string; readonly dataDir: string; readonly replaces: boolean },
): void {
  const [backedUp, own] = [join(from, name), join(dataDir, name)]
  if (!existsSync(backedUp)) return
  if (existsSync(own) && !readFileSync(own).equals(readFileSync(backedUp)) && !replaces)
    throw new SluiceError(
      'conflict',
      `${own} differs from that of the backup: \`--replace\` takes the one of the backup.`,
    )
  copyFileSync(backedUp, own)
}
