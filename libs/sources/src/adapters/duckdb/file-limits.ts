/** The operator's limits for sources on files. */
import { existsSync, realpathSync } from 'node:fs'
import { relative, resolve, sep } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import type { FileSourceSpec } from '@sluice/contracts/source-types'

export interface FileLimits {
  /** Sources may have paths below these absolute folders. Null allows any path, and an empty list none. */
  readonly roots: readonly string[] | null
  readonly maxRows: number
  /** The size of a result's file. */
  readonly maxBytes: number
  readonly maxSpillBytes: number
  readonly maxMs: number
}

export const DEFAULT_LIMITS: FileLimits = {
  roots: null,
  maxRows: 100_000_000,
  maxBytes: 50_000_000_000,
  maxSpillBytes: 50_000_000_000,
  maxMs: 3_600_000,
}

/**
 * Throws `config` if the source's path does not lie below a root, even by a link that leads out of it. The
 * error does not reveal if the path exists.
 */
export function assertBelowRoots({ name, path }: FileSourceSpec, roots: FileLimits['roots']): void {
  if (roots === null) return
  const real = existsSync(path) ? realpathSync(path) : resolve(path)
  const root = roots
    .map(each => (existsSync(each) ? realpathSync(each) : each))
    .find(each => isBelow(real, each))
  if (root !== undefined && !isState(relative(root, real))) return
  const message =
    roots.length === 0
      ? `Source ${name}: no folder may be read here, since SLUICE_SOURCE_ROOTS is not set. ` +
        `The operator sets it to the folders that sources may read, such as ${path}.`
      : `Source ${name}: the path ${path} does not lie below a folder that sources may read. ` +
        `The operator names them in SLUICE_SOURCE_ROOTS: ${roots.join(', ')}.`
  throw new SluiceError('config', message, { details: [{ field: 'path', message }] })
}

/** The folder in which runs keep the log, the caches and the vault's key. No source may read it. */
export const STATE_FOLDER = '.sluice'

/** True for a relative path into a state folder. */
export function isState(path: string): boolean {
  return path.split(sep).some(part => part.toLowerCase() === STATE_FOLDER)
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : `${root}${sep}`)
}
