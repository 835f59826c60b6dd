/**
 * The chart in deploy/helm, and the manifests that helm made of its examples. They stand beside this file, so
 * that tests judge them without helm, and reviewers see what a change of the chart does.
 */
import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const CHART = fileURLToPath(new URL('../../deploy/helm', import.meta.url))
export const RENDERED = fileURLToPath(new URL('rendered', import.meta.url))
/** The digest of the files that the manifests were made of. */
export const DIGEST = join(RENDERED, 'made-of.sha256')

/** The names of the sets of values, each of which stands in `examples` of the chart. */
export const EXAMPLES = ['minimal', 'production', 'keda', 'strimzi', 'external-secrets'] as const

/** Returns the SHA-256 of all files that make the manifests. */
export function chartDigest(): string {
  const hash = createHash('sha256')
  const files = globSync(['*.{yaml,json}', 'templates/*', 'examples/*.yaml'], { cwd: CHART }).sort()
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(CHART, file)))
      .update('\0')
  return hash.digest('hex')
}
