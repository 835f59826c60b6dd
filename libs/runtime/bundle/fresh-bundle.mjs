/**
 * Finds the bundle that a process may start from instead of its source. It may if each source has the size
 * and the time that it had when the bundle was made. Plain JavaScript, since any Node may read it.
 */
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
export const BUNDLES = join(ROOT, 'node_modules/.cache/sluice')
/** npm writes it with each installation. */
export const INSTALLED = 'node_modules/.package-lock.json'
/**
 * The source that a process starts with, by the name of its file in the bundle. The command has a bundle of
 * its own: it shares little with the services, and more shared files would make each start slower.
 */
export const PROGRAMS = {
  command: { sluice: 'services/cli/src/main.ts' },
  services: {
    'change-detector': 'services/change-detector/src/main.ts',
    renderer: 'services/renderer/src/main.ts',
    delivery: 'services/delivery/src/main.ts',
    console: 'services/console/src/main.ts',
  },
}
/** What programs of either bundle start: by the name of its file, its source and the source that names it. */
export const STARTED = {
  query: {
    main: 'libs/sources/src/adapters/duckdb/process/main.ts',
    by: 'libs/sources/src/adapters/duckdb/start-process.ts',
  },
  preview: {
    main: 'libs/templates/src/adapters/thread/main.ts',
    by: 'libs/templates/src/adapters/thread.ts',
  },
  log: {
    main: 'libs/message-log/src/adapters/sqlite/thread/main.ts',
    by: 'libs/message-log/src/adapters/sqlite/write-thread.ts',
  },
  documents: {
    main: 'libs/control/src/resources/apart/main.ts',
    by: 'libs/control/src/resources/apart/documents-apart.ts',
  },
}

/**
 * The code of a source with another address in the place of the file that it starts. `addressOf` gets the
 * name of that file, and its address as the source writes it. Null if the source starts none.
 */
export function startsElsewhere(code, id, addressOf) {
  const name = Object.keys(STARTED).find(key => join(ROOT, STARTED[key].by) === id)
  if (name === undefined) return null
  const [written] = /new URL\('\.\/(?:[a-z]+\/)?main\.ts', import\.meta\.url\)/.exec(code) ?? []
  if (written === undefined) throw new Error(`${id} does not name the file that it starts`)
  return code.replace(written, addressOf(name, written))
}

/** What tells whether a file has changed: its size and time. */
export function stateOf(path) {
  const { size, mtimeMs } = statSync(path)
  return [size, mtimeMs]
}

/** Says of which bundle the folder counts, and what it was made of. It is replaced as a whole. */
export function stampOf(bundle, bundles = BUNDLES) {
  return join(bundles, `${bundle}.json`)
}

/** The folder of a bundle, or null if there is none that can be read, or a source has changed. */
export function freshBundle(bundle, root = ROOT, bundles = BUNDLES) {
  try {
    const { folder, sources } = JSON.parse(readFileSync(stampOf(bundle, bundles), 'utf8'))
    accessSync(join(bundles, folder), constants.R_OK | constants.X_OK)
    return sources.every(source => isUnchanged(root, source)) ? join(bundles, folder) : null
  } catch {
    return null
  }
}

/** Each start looks at hundreds of files so, in code that is not compiled yet: it has to do little. */
function isUnchanged(root, [file, size, mtimeMs]) {
  const now = statSync(`${root}/${file}`)
  return now.size === size && now.mtimeMs === mtimeMs
}

/** The file to start in the place of a source: that of a fresh bundle, or the source itself. */
export function startFile(source, root = ROOT, bundles = BUNDLES) {
  const started = Object.fromEntries(Object.entries(STARTED).map(([name, { main }]) => [name, main]))
  for (const [bundle, programs] of Object.entries(PROGRAMS)) {
    const files = { ...programs, ...started }
    const name = Object.keys(files).find(key => join(root, files[key]) === source)
    const folder = name === undefined ? null : freshBundle(bundle, root, bundles)
    if (folder !== null) return join(folder, `${name}.mjs`)
  }
  return source
}

/** The same for URLs. */
export function startUrl(source) {
  return pathToFileURL(startFile(fileURLToPath(source)))
}
