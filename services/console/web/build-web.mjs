/**
 * Builds the pages of the console into web/dist, in a few seconds. `npm ci` does it. Plain JavaScript, since
 * any Node may be the one that npm runs on. Without the packages for development there is nothing to build
 * with, and the console then says so instead of showing pages.
 */
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('.', import.meta.url))
/** On the same disk as the pages, and nobody's source. */
const DRAFTS = fileURLToPath(new URL('../../../node_modules/.cache/sluice-web', import.meta.url))

/**
 * Builds the pages into a folder, in the place of those that are there. A server that has the folder open
 * meanwhile finds the old pages or the new ones. Of several builds at once, one counts.
 */
export async function buildWeb(outDir = fileURLToPath(new URL('dist', import.meta.url))) {
  const { build } = await import('vite')
  const before = process.env.NODE_ENV
  // Under another name, as in tests, React would be built in its form for development: twice as large and
  // slow.
  process.env.NODE_ENV = 'production'
  mkdirSync(DRAFTS, { recursive: true })
  const draft = mkdtempSync(join(DRAFTS, 'build-'))
  const made = join(draft, 'dist')
  try {
    await build({
      root,
      configFile: `${root}vite.config.mjs`,
      logLevel: 'error',
      build: { outDir: made, emptyOutDir: true },
    })
    putInPlace(made, outDir, join(draft, 'before'))
  } finally {
    rmSync(draft, { recursive: true, force: true })
    if (before === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = before
  }
}

/** Builds them once for all test files that look at them, as a global setup of vitest. */
export const setup = () => buildWeb()

function putInPlace(made, outDir, before) {
  try {
    renameSync(outDir, before)
  } catch {
    // It is not there, or the system cannot move it, as in a layer of an image.
    rmSync(outDir, { recursive: true, force: true })
  }
  try {
    renameSync(made, outDir)
  } catch (error) {
    if (error.code === 'EXDEV') cpSync(made, outDir, { recursive: true })
    // Else another build has put its pages there in between.
    else if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await buildWeb()
  } catch (error) {
    console.error(`the console has no pages, since they could not be built: ${error.message}`)
  }
}
