/**
 * The cache of a sync's delivered state: one file for each incarnation, below `state/` of a folder. A sync
 * that compares tables has a DuckDB file, and a stream has a SQLite file. A sync that becomes the other has
 * both. Each goes on from where it has come to in the topics.
 */
import { constants, existsSync, readdirSync, rmSync } from 'node:fs'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DeliveredState, StateOptions } from '../port.ts'
import type { StreamState } from '../stream-port.ts'
import { openDeliveredState } from './duckdb.ts'
import { readStateFormat, type SharedInstance, STATE_FORMAT } from './state/state-file.ts'

const STATE_FILE = '.duckdb'
const STREAM_FILE = '.sqlite'

interface StatePlace {
  readonly sync: string
  readonly incarnation: string
}

function stateFile(dataDir: string, { sync, incarnation }: StatePlace, end = STATE_FILE): string {
  return join(dataDir, 'state', `${sync}.${incarnation}${end}`)
}

/** The caches of a sync. `fits` is false if this version builds one of them again, from the topics. */
export interface FoundCache {
  readonly sync: string
  readonly fits: boolean
}

/**
 * Lists the syncs that have caches in a folder, and changes nothing. For a folder in which no process works.
 */
export async function foundCaches(dataDir: string): Promise<readonly FoundCache[]> {
  const folder = join(dataDir, 'state')
  const fits = new Map<string, boolean>()
  for (const name of existsSync(folder) ? readdirSync(folder).toSorted() : []) {
    const file = join(folder, name)
    const sync = name.slice(0, name.indexOf('.'))
    const note = (isFit: boolean): unknown => fits.set(sync, isFit && fits.get(sync) !== false)
    if (name.endsWith(STATE_FILE)) note((await readStateFormat(file)) === STATE_FORMAT)
    if (name.endsWith(STREAM_FILE)) note((await import('./stream/stream-file.ts')).fitsStreamFormat(file))
  }
  return [...fits].map(([sync, isFit]) => ({ sync, fits: isFit }))
}

/** Opens the cache, and removes the caches of earlier incarnations. The folder `state` has to exist. */
export function openState(
  dataDir: string,
  state: StateOptions & { readonly memoryLimit: string; readonly shared?: SharedInstance | undefined },
  logger: CacheLogger,
): Promise<DeliveredState> {
  removeOldStates(join(dataDir, 'state'), state)
  return openDeliveredState({
    ...state,
    file: stateFile(dataDir, state),
    onDiscard: telling(state, logger),
  })
}

/** Opens the cache of a stream, as `openState` does. */
export async function openStreamState(
  dataDir: string,
  state: StateOptions,
  logger: CacheLogger,
): Promise<StreamState> {
  removeOldStates(join(dataDir, 'state'), state)
  const { openStreamState: openSqlite } = await import('./sqlite.ts')
  return openSqlite({
    ...state,
    file: stateFile(dataDir, state, STREAM_FILE),
    onDiscard: telling(state, logger),
  })
}

interface CacheLogger {
  warn(about: object, message: string): void
}

function telling({ sync, onDiscard }: StateOptions, logger: CacheLogger): (why: string) => void {
  return why => {
    logger.warn({ sync, why }, 'the cache of the delivered state is not used')
    onDiscard?.(why)
  }
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
