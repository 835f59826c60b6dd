/**
 * Where the process that has a folder open listens. The socket stands in the folder itself, so whoever may
 * read the folder finds it. The path of a socket may have about a hundred bytes only. With a longer one, the
 * socket is in a private temporary folder, and a file in the folder says where.
 */
import { lstatSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { writeNewFile } from '@sluice/runtime/private-files'

/** macOS has room for 103 bytes, Linux for 107. */
const MAX_BYTES = 103

/**
 * The path of the socket of a process that has `dataDir` open; null if it says of none. In the shared folder
 * for temporary files, one that another user put in its place once it was cleared up does not count.
 */
export function socketPathOf(dataDir: string): string | null {
  const path = join(dataDir, 'api.sock')
  if (Buffer.byteLength(path) <= MAX_BYTES) return path
  const far = farPathOf(dataDir)
  return far !== null && isOwn(far) ? far : null
}

function farPathOf(dataDir: string): string | null {
  try {
    return readFileSync(pointerOf(dataDir), 'utf8')
  } catch {
    return null
  }
}

function isOwn(path: string): boolean {
  const user = process.geteuid?.()
  try {
    const places = [dirname(path), path].map(each => lstatSync(each))
    return places.every(stats => !stats.isSymbolicLink() && (user === undefined || stats.uid === user))
  } catch {
    return false
  }
}

/**
 * A path on which nobody listens. Only the process that has the folder's lock may ask, since it removes what
 * an earlier process has left.
 */
export function freshSocketPath(dataDir: string): { readonly path: string; readonly remove: () => void } {
  const pointer = pointerOf(dataDir)
  removeFormer(dataDir)
  const near = join(dataDir, 'api.sock')
  if (Buffer.byteLength(near) <= MAX_BYTES) return { path: near, remove: () => rmSync(near, { force: true }) }
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'))
  const path = join(folder, 'api.sock')
  const remove = (): void => {
    rmSync(pointer, { force: true })
    rmSync(folder, { force: true, recursive: true })
  }
  try {
    writeNewFile(pointer, path)
  } catch (error) {
    remove()
    throw error
  }
  return { path, remove }
}

/** What a process that was killed has left. Whoever wrote the file may have named any path in it. */
function removeFormer(dataDir: string): void {
  const near = join(dataDir, 'api.sock')
  rmSync(near, { force: true })
  const far = farPathOf(dataDir)
  rmSync(pointerOf(dataDir), { force: true })
  if (far === null || far === near) return
  if (lstatSync(far, { throwIfNoEntry: false })?.isSocket() !== true) return
  rmSync(far, { force: true })
  try {
    rmdirSync(dirname(far))
  } catch {
    // Something else is in it, so it is not the folder that was made for the socket.
  }
}

function pointerOf(dataDir: string): string {
  return join(dataDir, 'api.sock-path')
}
