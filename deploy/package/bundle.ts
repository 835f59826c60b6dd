/**
 * Puts the command, the services, and the processes and threads that they start into few files of JavaScript,
 * with the packages that they use. Few files start faster: a command of the sources loads some hundreds.
 * Nothing is minified, so stack traces can be read.
 */
import { chmodSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { rolldown, type Plugin } from 'rolldown'
import { z } from 'zod'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** The program of the package. The bundle has the files that it starts, and the files that these start. */
const LAUNCHER = { path: 'services/cli/bin/sluice.mjs', fileName: 'sluice.mjs' }

/** Packages that are native, or of which Sluice uses inner files, by the room that imports them. */
const OUTSIDE: { readonly [name: string]: string } = {
  '@duckdb/node-bindings': 'libs/sources',
  '@node-rs/crc32': 'libs/message-log',
  kafkajs: 'libs/message-log',
  undici: 'libs/http-sender',
}

/** Places that sources name and that are no sources, as the folder of the bundle has them. */
const PLACES: { readonly [path: string]: string } = {
  'services/cli/starter/': './starter/',
  'services/console/web/dist': './pages',
  'node_modules/.cache/sluice': '../../.cache/sluice',
}
const PLACE = /new URL\(\s*'([^']+)',\s*import\.meta\.url,?\s*\)/g

export interface OutsidePackage {
  readonly version: string
  readonly folder: string
}

/** The packages that the bundle imports. */
export function outsidePackages(): { readonly [name: string]: OutsidePackage } {
  return Object.fromEntries(Object.keys(OUTSIDE).map(name => [name, packageFor(name, importerOf(name))]))
}

/**
 * Writes the bundle into a folder. `also` are further sources below the root, by the names of their files.
 * Resolves with the files whose code is in the bundle, absolute.
 */
export async function bundle(
  folder: string,
  also: { readonly [fileName: string]: string } = {},
): Promise<ReadonlySet<string>> {
  const building = await rolldown({
    cwd: ROOT,
    input: { [LAUNCHER.fileName]: LAUNCHER.path, ...also },
    platform: 'node',
    logLevel: 'silent',
    plugins: [placesInside(), packagesOutside()],
  })
  try {
    const names = { entryFileNames: '[name]', chunkFileNames: '[name].mjs' }
    const { output } = await building.write({ dir: folder, format: 'esm', ...names })
    chmodSync(join(folder, LAUNCHER.fileName), 0o755)
    return new Set(output.flatMap(file => (file.type === 'chunk' ? file.moduleIds : [])))
  } finally {
    await building.close()
  }
}

/**
 * Returns the name that the bundle has for a source that is started as a program or a thread. Null for any
 * other path. `path` is relative to the root.
 */
export function startedAs(path: string): string | null {
  if (path === LAUNCHER.path) return LAUNCHER.fileName
  if (!/^(libs|services)\/.+\/main\.ts$/.test(path)) return null
  return `${path.replaceAll(/\/(src|adapters)\b|\/main\.ts$/g, '').replaceAll('/', '-')}.mjs`
}

/**
 * Returns the code of a source with other addresses for the places that it names relative to itself.
 * `addressOf` gets a place relative to the root; null leaves the address as it is.
 */
export function withAddresses(code: string, id: string, addressOf: (path: string) => string | null): string {
  return code.replaceAll(PLACE, (whole, written: string) => {
    const path = relative(ROOT, resolve(dirname(id), written))
      .split(sep)
      .join('/')
    const address = addressOf(written.endsWith('/') ? `${path}/` : path)
    return address === null ? whole : `new URL('${address}', import.meta.url)`
  })
}

/** Makes a file of each source that another one starts. Throws for a place that the package does not have. */
function placesInside(): Plugin {
  return {
    name: 'places-inside',
    transform(code, id) {
      if (!id.startsWith(ROOT) || id.includes('node_modules') || !code.includes('import.meta.url'))
        return null
      return withAddresses(code, id, path => {
        const fileName = startedAs(path)
        if (fileName !== null) this.emitFile({ type: 'chunk', id: join(ROOT, path), fileName })
        const place = fileName === null ? PLACES[path] : `./${fileName}`
        if (place === undefined) throw new Error(`${id} names ${path}, for which the package has no place`)
        return place
      })
    },
  }
}

/** Throws if a second version of a package outside is imported. */
function packagesOutside(): Plugin {
  return {
    name: 'packages-outside',
    resolveId(specifier, importer) {
      const name = Object.keys(OUTSIDE).find(key => specifier === key || specifier.startsWith(`${key}/`))
      if (name === undefined || importer === undefined) return null
      const [found, wanted] = [packageFor(name, importer), packageFor(name, importerOf(name))]
      if (found.version === wanted.version) return { id: specifier, external: true }
      throw new Error(`${importer} wants ${name} ${found.version}, and the package has ${wanted.version}`)
    },
  }
}

function importerOf(name: string): string {
  return join(ROOT, OUTSIDE[name] ?? '', 'package.json')
}

/** The package that a file imports by that name. */
function packageFor(name: string, importer: string): OutsidePackage {
  const manifest = createRequire(pathToFileURL(importer)).resolve(`${name}/package.json`)
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(manifest, 'utf8')))
  return { version, folder: dirname(manifest) }
}
