/**
 * The folder in which Node keeps compiled code between starts, which halves the time of a start. Node runs
 * what it finds there, so only this user may write to it. Plain JavaScript, since any Node may read it.
 */
import { lstatSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

const WRITABLE_BY_OTHERS = 0o022

/**
 * The folder of this user, made if it is missing. Null if there is none that only this user, or root, may
 * write to: then code is compiled at each start. `NODE_COMPILE_CACHE` takes its place, also when empty.
 */
export function compileCacheFolder(env) {
  if (env.NODE_COMPILE_CACHE !== undefined) return env.NODE_COMPILE_CACHE || null
  try {
    const given = env.XDG_CACHE_HOME ?? ''
    const caches = isAbsolute(given) ? given : join(env.HOME || homedir(), '.cache')
    mkdirSync(caches, { recursive: true, mode: 0o700 })
    const own = join(caches, 'sluice')
    const folder = join(own, 'compiled')
    for (const path of [own, folder]) makeFolder(path)
    return [own, folder].every(isOwn) && isSafe(caches) ? folder : null
  } catch {
    return null
  }
}

function makeFolder(path) {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
  }
}

/** A link could lead to a folder of another user. */
function isOwn(path) {
  const stats = lstatSync(path)
  const user = process.geteuid?.()
  return stats.isDirectory() && (user === undefined || (stats.uid === user && isClosed(stats)))
}

/** Nobody but root may put another folder in the place of one in here. */
function isSafe(path) {
  const stats = lstatSync(path)
  const user = process.geteuid?.()
  if (user === undefined || stats.isSymbolicLink()) return user === undefined
  return (stats.uid === user || stats.uid === 0) && isClosed(stats)
}

function isClosed({ mode }) {
  return (mode & WRITABLE_BY_OTHERS) === 0
}
