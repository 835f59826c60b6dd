/**
 * Puts the command `sluice` and the services into few files each, with the processes and threads that they
 * start. So a start reads some twenty files instead of some hundreds
 * (docs/decisions/adapters-loaded-when-needed.md). `npm ci` does it, in about three seconds. Plain
 * JavaScript, since any Node may be the one that npm runs on.
 *
 * Nothing depends on a bundle. If it cannot be made, or a source has changed since, the sources run.
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import {
  BUNDLES,
  INSTALLED,
  PROGRAMS,
  ROOT,
  stampOf,
  STARTED,
  startsElsewhere,
  stateOf,
} from './fresh-bundle.mjs'

/** They read files of their own at run time, or Sluice imports their inner parts a second time. */
const LEFT_OUT = /^(undici|kafkajs|ioredis|pino|@duckdb\/node-bindings|@node-rs\/crc32)(\/|$)/
/** A process that started from an earlier bundle may load a part of it later. */
const KEPT = 3

/** Keeps what depends on where a module stands: addresses relative to it, and packages that are left out. */
function places(folder) {
  const fromFolder = path => withSlashes(relative(folder, path))
  return {
    name: 'places',
    resolveId(specifier, importer) {
      if (importer === undefined || !LEFT_OUT.test(specifier)) return null
      return { id: fromFolder(createRequire(pathToFileURL(importer)).resolve(specifier)), external: true }
    },
    transform(code, id) {
      if (!isSource(id) || !code.includes('import.meta.url')) return null
      const elsewhere = startsElsewhere(code, id, name => `new URL('./${name}.mjs', import.meta.url)`)
      const address = `new URL(${JSON.stringify(fromFolder(id))}, import.meta.url).href`
      return elsewhere ?? code.replaceAll('import.meta.url', address)
    },
  }
}

/** Notes the state of each source before it is read: one that changes meanwhile has another state. */
function states(noted) {
  return {
    name: 'states',
    load(id) {
      if (isSource(id)) noted.set(withSlashes(relative(ROOT, id)), stateOf(id))
      return null
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

/**
 * Makes a bundle and resolves with its folder. The folder has a name of its own, so processes that start
 * meanwhile, or run from an earlier bundle, find each file as it was. Of several builds at once, one counts.
 */
export async function buildBundle(bundle, bundles = BUNDLES) {
  const { rolldown } = await import('rolldown')
  const noted = new Map([[INSTALLED, stateOf(join(ROOT, INSTALLED))]])
  const started = Object.entries(STARTED).map(([name, { main }]) => [name, main])
  const programs = [...Object.entries(PROGRAMS[bundle]), ...started]
  const building = await rolldown({
    cwd: ROOT,
    input: Object.fromEntries(programs.map(([name, main]) => [name, join(ROOT, main)])),
    platform: 'node',
    logLevel: 'silent',
    makeAbsoluteExternalsRelative: false,
    // All folders of bundles stand side by side, so any name will do.
    plugins: [states(noted), places(join(bundles, bundle))],
  })
  try {
    const names = { entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' }
    const { output } = await building.generate({ format: 'esm', ...names })
    const folder = `${bundle}-${hashOf(output)}`
    mkdirSync(bundles, { recursive: true })
    putInPlace(output, join(bundles, folder))
    const sources = [...noted].map(([file, state]) => [file, ...state])
    writeWhole(stampOf(bundle, bundles), JSON.stringify({ folder, sources }))
    forgetEarlier(bundle, bundles)
    return join(bundles, folder)
  } finally {
    await building.close()
  }
}

function hashOf(output) {
  const hash = createHash('sha256')
  for (const { fileName, code } of output) hash.update(`${fileName}\0${code}\0`)
  return hash.digest('hex').slice(0, 16)
}

function putInPlace(output, folder) {
  const made = mkdtempSync(`${folder}-`)
  try {
    for (const { fileName, code } of output) writeFileSync(join(made, fileName), code)
    // A temporary folder is for its user alone, and a unit may run as another one than `npm ci` did.
    chmodSync(made, 0o777 & ~process.umask())
    renameSync(made, folder)
  } catch (error) {
    // The same bundle is there, from another build.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    utimesSync(folder, new Date(), new Date())
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
}

function writeWhole(file, text) {
  const made = mkdtempSync(`${file}-`)
  try {
    writeFileSync(join(made, 'stamp'), text)
    renameSync(join(made, 'stamp'), file)
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
}

function forgetEarlier(bundle, bundles) {
  const folders = readdirSync(bundles).filter(name => new RegExp(`^${bundle}-[0-9a-f]{16}$`).test(name))
  const newestFirst = folders
    .map(name => join(bundles, name))
    .map(path => ({ path, madeAt: statSync(path).mtimeMs }))
    .toSorted((one, other) => other.madeAt - one.madeAt)
  for (const { path } of newestFirst.slice(KEPT)) rmSync(path, { recursive: true, force: true })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    for (const bundle of Object.keys(PROGRAMS)) await buildBundle(bundle)
  } catch (error) {
    // Without the packages for development, say, there is no bundler.
    console.error(`sluice starts from its sources, since there is no bundle of them: ${error.message}`)
  }
}
