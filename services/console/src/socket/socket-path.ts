/**
 * The path of the socket on which the process that has a folder open listens. The socket is in the folder
 * itself, so that commands find it. The path of a socket may have only about a hundred bytes. If its path in
 * the folder would be longer, the socket is in a private temporary folder, and a file in the folder has its
 * path.
 */
import { lstatSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { writeNewFile } from '@sluice/runtime/private-files'

/** macOS has room for 103 bytes, Linux for 107. */
const MAX_BYTES = 103

/**
 * The path of the socket of the process that has `dataDir` open. Null if there is none. In the shared folder
 * for temporary files, a socket of another user is ignored: it may have been put there after a clean-up.
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
 * Makes a path on which nobody listens. Only the process with the folder's lock may call it, since it removes
 * the socket of an earlier process.
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

/**
 * Removes the socket of a process that was killed. The pointer file may hold any path, so it is not trusted.
 */
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
