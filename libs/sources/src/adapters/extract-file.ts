/** The file of an extract, which does not exist before, and not after a failure. */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { SluiceError } from '@sluice/contracts/errors'

/** Throws `conflict` if the file is there. */
export function assertNewFile(file: string): void {
  if (existsSync(file))
    throw new SluiceError('conflict', `${file} exists already; an extract wants a new file.`)
}

/** Removes the file and its write-ahead log, if they are there. */
export async function removeExtract(file: string): Promise<void> {
  await Promise.all([file, `${file}.wal`].map(path => rm(path, { force: true })))
}
