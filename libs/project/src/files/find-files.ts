/** Finds the YAML files of a project folder. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** A folder with more files than this is not a project of Sluice: somebody named the wrong folder. */
export const MAX_YAML_FILES = 10_000
const MAX_FOLDERS = 100_000

/**
 * The paths of all `*.yaml` and `*.yml` files below a folder, relative to it, with `/` between folders,
 * sorted. Null if there are too many. The walk skips hidden folders, `node_modules`, and folders that it may
 * not read. It does not follow links to folders, so that a cycle of links cannot trap it. Throws what
 * `readdir` throws for the folder itself. An abort throws the signal's reason.
 */
export async function findYamlFiles(dir: string, signal: AbortSignal): Promise<readonly string[] | null> {
  const found: string[] = []
  const folders = ['']
  for (let next = 0; next < folders.length; next++) {
    signal.throwIfAborted()
    if (folders.length > MAX_FOLDERS) return null
    const folder = folders[next] ?? ''
    for (const entry of await entriesOf(dir, folder)) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) {
        if (!entry.name.startsWith('.') && entry.name !== 'node_modules') folders.push(path)
      } else if (/\.ya?ml$/i.test(entry.name)) {
        // A pipe or device of this name is a mistake: it is reported, not skipped.
        found.push(path)
        if (found.length > MAX_YAML_FILES) return null
      }
    }
  }
  return found.sort()
}

async function entriesOf(dir: string, folder: string) {
  try {
    return await readdir(join(dir, folder), { withFileTypes: true })
  } catch (error) {
    if (folder === '') throw error
    return []
  }
}
