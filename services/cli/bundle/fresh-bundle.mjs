/**
 * Says whether the bundle is what the sources are. It is if each source has the size and the time that it had
 * when the bundle was made. Plain JavaScript, since any Node may read it.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
export const BUNDLE = join(ROOT, 'node_modules/.cache/sluice')
export const STAMP = 'stamp.json'
/** npm writes it with each installation. */
const INSTALLED = 'node_modules/.package-lock.json'

/** What the bundle was made of, by files relative to the root. */
export function stampOf(sources, root = ROOT) {
  return [...sources, INSTALLED].map(file => [file, stateOf(join(root, file))])
}

function stateOf(path) {
  const { size, mtimeMs } = statSync(path)
  return `${size} ${mtimeMs}`
}

/** The folder of the bundle, or null if there is none or a source has changed. */
export function freshBundle(root = ROOT, bundle = BUNDLE) {
  try {
    const stamp = JSON.parse(readFileSync(join(bundle, STAMP), 'utf8'))
    return stamp.every(([file, state]) => stateOf(join(root, file)) === state) ? bundle : null
  } catch {
    return null
  }
}
