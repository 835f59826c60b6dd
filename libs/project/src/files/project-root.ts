/** Finds the project that a command means, from the folder that it was called in. */
import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** The file that makes a folder a project, whatever else the folder has. */
export const PROJECT_FILE = 'sluice.yaml'
const STATE_FOLDER = '.sluice'
/**
 * Runs of a folder keep one of these in `.sluice`: their log, or the states of environments. Services of the
 * distributed profile keep a cache in a folder of that name, wherever they were started.
 */
const STATE_OF_RUNS = ['log.db', 'env']
/** The search below a folder ends here. A folder with more folders is not a project of Sluice. */
const MAX_FOLDERS = 100_000

export interface FoundProject {
  /** The nearest project, at or above the start; the start itself if there is none. Absolute. */
  readonly dir: string
  /** A project in a folder below `dir`, relative to it, or null. */
  readonly below: string | null
}

/**
 * Finds the project of an absolute path. A folder is a project if it has a file `sluice.yaml`, or a folder
 * `.sluice` with the state of runs. An abort throws the signal's reason.
 */
export async function findProject(
  start: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<FoundProject> {
  const dir = (await projectAtOrAbove(start, start)) ?? start
  return { dir, below: await projectBelow(dir, signal) }
}

/** True if the folder with these names of files is a project. A state that this user may not read counts. */
export async function isMarked(dir: string, names: readonly string[]): Promise<boolean> {
  if (names.includes(PROJECT_FILE)) return true
  if (!names.includes(STATE_FOLDER)) return false
  const state = await readdir(join(dir, STATE_FOLDER)).catch(() => STATE_OF_RUNS)
  return STATE_OF_RUNS.some(name => state.includes(name))
}

async function projectAtOrAbove(dir: string, start: string): Promise<string | null> {
  const names = await readdir(dir).catch((): string[] => [])
  if ((await isMarked(dir, names)) && (dir === start || !(await isWritableByAnybody(dir)))) return dir
  const parent = dirname(dir)
  return parent === dir ? null : await projectAtOrAbove(parent, start)
}

/**
 * True for a folder such as `/tmp`. Anybody may put a project there, and a command in a folder below must not
 * take it for its own.
 */
async function isWritableByAnybody(dir: string): Promise<boolean> {
  const { mode } = await stat(dir)
  return (mode & 0o002) !== 0
}

async function projectBelow(dir: string, signal: AbortSignal): Promise<string | null> {
  const folders = ['']
  for (let next = 0; next < folders.length && folders.length <= MAX_FOLDERS; next++) {
    signal.throwIfAborted()
    const folder = folders[next] ?? ''
    const entries = await readdir(join(dir, folder), { withFileTypes: true }).catch(() => [])
    const names = entries.map(({ name }) => name)
    if (folder !== '' && (await isMarked(join(dir, folder), names))) return folder
    for (const entry of entries)
      if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
        folders.push(join(folder, entry.name))
  }
  return null
}
