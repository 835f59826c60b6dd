/** Finds the project around a folder. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { decodeUtf8 } from './read-regular-file.ts'
import { isMarked } from './project-root.ts'
import { readDocuments } from './read-documents.ts'

/** A folder with more or larger files is hardly a forgotten project, so the search does not look into it. */
const MAX_FILES = 100
const MAX_BYTES = 1_000_000

/**
 * The nearest folder above this one that is marked as a project, or that has a file with a resource. Null if
 * there is none. The search skips folders and files that it cannot read.
 */
export async function projectAround(dir: string): Promise<string | null> {
  const parent = dirname(dir)
  if (parent === dir) return null
  return (await isProject(parent)) ? parent : await projectAround(parent)
}

async function isProject(dir: string): Promise<boolean> {
  const names = await readdir(dir).catch((): string[] => [])
  if (await isMarked(dir, names)) return true
  const files = names.filter(name => /\.ya?ml$/i.test(name))
  if (files.length > MAX_FILES) return false
  for (const file of files) if (await hasResource(join(dir, file))) return true
  return false
}

async function hasResource(path: string): Promise<boolean> {
  try {
    const stats = await stat(path)
    if (!stats.isFile() || stats.size > MAX_BYTES) return false
    const text = decodeUtf8(await readFile(path))
    if (typeof text !== 'string') return false
    return readDocuments({ path, folder: dirname(path), text }).resources.length > 0
  } catch {
    return false
  }
}
