/** The files of the embedded profile, in the project's `.sluice` folder. */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import { saysDiskFailed } from '@sluice/domain/disk-failure'
import { valueOf, type Environment } from '@sluice/runtime/environment'
import { makePrivateFolders } from '@sluice/runtime/private-files'

const STATE = '.sluice'

/**
 * Returns the absolute path of the folder for these files. Each environment of a project has its own folder.
 */
export function dataDirOf({ dir, env }: { readonly dir: string; readonly env: Environment }): string {
  const name = valueOf(env, 'SLUICE_ENV')
  return name === undefined ? join(dir, STATE) : join(dir, STATE, 'env', name)
}

/** The log with all topics. */
export function logFile(dataDir: string): string {
  return join(dataDir, 'log.db')
}

/**
 * False if nothing ever ran in this project. Throws `config` if the folder belongs to another user alone,
 * such as the user of a systemd unit: without the rights, it would look as if nothing ever ran.
 */
export function hasEmbeddedHistory(place: { readonly dir: string; readonly env: Environment }): boolean {
  if (existsSync(logFile(dataDirOf(place)))) return true
  const folder = join(place.dir, STATE)
  const found = statSync(folder, { throwIfNoEntry: false })
  if (found?.isDirectory() !== true) return false
  try {
    accessSync(folder, constants.X_OK)
    return false
  } catch {
    const { uid } = found
    throw new SluiceError(
      'config',
      `${folder} belongs to the user with the number ${uid}, and is for that user alone: run sluice as that user, such as with \`sudo -u '#${uid}'\`.`,
    )
  }
}

/**
 * Makes the folders, for this user alone. Throws `config` if that cannot be done, for example because the
 * disk is read-only.
 */
export function makeFolders(dataDir: string, tell: (notice: string) => void): void {
  try {
    makePrivateFolders(dataDir, { below: ['tmp', 'state'], tell })
  } catch (error) {
    const reason = messageOf(error)
    if (saysDiskFailed(reason)) throw error
    throw new SluiceError(
      'config',
      `${dataDir} has to be a folder that can be written: runs keep their log and state there. ${reason}`,
      { cause: error },
    )
  }
}
