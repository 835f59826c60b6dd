/**
 * Puts the command `sluice` and the process of a query into few files, so that a start reads some twenty
 * files instead of some 800 (docs/decisions/adapters-loaded-when-needed.md). `npm ci` does it, in about two
 * seconds. Plain JavaScript, since any Node may be the one that npm runs on.
 *
 * Nothing depends on the bundle. If it cannot be made, or a source has changed since, the sources run.
 */
import { mkdtempSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { BUNDLE, ROOT, STAMP, stampOf } from './fresh-bundle.mjs'

const PROCESS = 'libs/sources/src/adapters/duckdb/process/main.ts'
const PROCESS_IN_SOURCE = "new URL('./process/main.ts', import.meta.url)"
/** They read files of their own at run time, or Sluice imports their inner parts a second time. */
const LEFT_OUT = /^(undici|kafkajs|ioredis|pino|@duckdb\/node-bindings|@node-rs\/crc32)(\/|$)/

/** Keeps what depends on where a module stands: addresses relative to it, and packages that are left out. */
function places(bundle) {
  const fromBundle = path => withSlashes(relative(bundle, path))
  return {
    name: 'places',
    resolveId(specifier, importer) {
      if (importer === undefined || !LEFT_OUT.test(specifier)) return null
      return { id: fromBundle(createRequire(pathToFileURL(importer)).resolve(specifier)), external: true }
    },
    transform(code, id) {
      if (!isSource(id) || !code.includes('import.meta.url')) return null
      const placed = code.replaceAll(PROCESS_IN_SOURCE, "new URL('./query.mjs', import.meta.url)")
      const address = `new URL(${JSON.stringify(fromBundle(id))}, import.meta.url).href`
      return placed === code ? code.replaceAll('import.meta.url', address) : placed
    },
  }
}

/** The bundler has modules of its own, with other names. */
function isSource(id) {
  return id.startsWith(ROOT) && !id.includes('node_modules')
}

function withSlashes(path) {
  return path.split(sep).join('/')
}

/** Makes the bundle in a folder, in the place of one that is there. */
export async function buildBundle(bundle) {
  const { rolldown } = await import('rolldown')
  const building = await rolldown({
    cwd: ROOT,
    input: { sluice: join(ROOT, 'services/cli/src/main.ts'), query: join(ROOT, PROCESS) },
    platform: 'node',
    logLevel: 'silent',
    makeAbsoluteExternalsRelative: false,
    plugins: [places(bundle)],
  })
  mkdirSync(dirname(bundle), { recursive: true })
  const made = mkdtempSync(`${bundle}-`)
  try {
    const names = { entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' }
    const { output } = await building.write({ dir: made, format: 'esm', ...names })
    const modules = output.flatMap(({ moduleIds = [] }) => moduleIds)
    const sources = modules.filter(isSource).map(id => withSlashes(relative(ROOT, id)))
    writeFileSync(join(made, STAMP), JSON.stringify(stampOf(sources)))
    rmSync(bundle, { recursive: true, force: true })
    renameSync(made, bundle)
  } finally {
    rmSync(made, { recursive: true, force: true })
    await building.close()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await buildBundle(BUNDLE)
  } catch (error) {
    // Without the packages for development, say, there is no bundler.
    console.error(`sluice starts from its sources, since there is no bundle of them: ${error.message}`)
  }
}
