/**
 * The cache of a sync's delivered state: one DuckDB file for each incarnation, below `state/` of a folder.
 */
import { constants, existsSync, readdirSync, rmSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DeliveredState, StateOptions } from '../port.ts'
import { openDeliveredState } from './duckdb.ts'
import { readStateFormat, type SharedInstance, STATE_FORMAT } from './state/state-file.ts'

const STATE_FILE = '.duckdb'

interface StatePlace {
  readonly sync: string
  readonly incarnation: string
}

function stateFile(dataDir: string, { sync, incarnation }: StatePlace): string {
  return join(dataDir, 'state', `${sync}.${incarnation}${STATE_FILE}`)
}

/** The cache of a sync. `fits` is false if this version builds it again, from the topics. */
export interface FoundCache {
  readonly sync: string
  readonly fits: boolean
}

/** Lists the caches of a folder, and changes nothing. For a folder in which no process works. */
export async function foundCaches(dataDir: string): Promise<readonly FoundCache[]> {
  const folder = join(dataDir, 'state')
  const names = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith(STATE_FILE)) : []
  const found: FoundCache[] = []
  for (const name of names.toSorted())
    found.push({
      sync: name.slice(0, name.indexOf('.')),
      fits: (await readStateFormat(join(folder, name))) === STATE_FORMAT,
    })
  return found
}

/** Opens the cache, and removes the caches of earlier incarnations. The folder `state` has to exist. */
export function openState(
  dataDir: string,
  state: StateOptions & { readonly memoryLimit: string; readonly shared?: SharedInstance | undefined },
  logger: { warn(about: object, message: string): void },
): Promise<DeliveredState> {
  const onDiscard = (why: string): void => {
    logger.warn({ sync: state.sync, why }, 'the cache of the delivered state is not used')
    state.onDiscard?.(why)
  }
  removeOldStates(join(dataDir, 'state'), state)
  return openDeliveredState({ ...state, file: stateFile(dataDir, state), onDiscard })
}

/** Removes the caches of earlier incarnations of a sync, which a reset has left behind. */
function removeOldStates(folder: string, { sync, incarnation }: StatePlace): void {
  // Neither name has a dot in it.
  for (const name of readdirSync(folder))
    if (name.startsWith(`${sync}.`) && !name.startsWith(`${sync}.${incarnation}.`))
      rmSync(join(folder, name), { recursive: true, force: true })
}

/**
 * Copies the cache of the state, so that a preview need not rebuild the state. Without a cache, or with one
 * that does not fit, the preview rebuilds it.
 */
export async function copyState(dataDir: string, folder: string, state: StatePlace): Promise<void> {
  for (const end of ['', '.wal']) {
    const from = `${stateFile(dataDir, state)}${end}`
    if (existsSync(from))
      await copyFile(from, `${stateFile(folder, state)}${end}`, constants.COPYFILE_FICLONE)
  }
}
