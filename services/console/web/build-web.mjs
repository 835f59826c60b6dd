/**
 * Builds the pages of the console into web/dist, in a few seconds. `npm ci` does it. Plain JavaScript, since
 * any Node may be the one that npm runs on. Without the packages for development there is nothing to build
 * with, and the console then says so instead of showing pages.
 */
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('.', import.meta.url))

/** Builds the pages into a folder. */
export async function buildWeb(outDir = fileURLToPath(new URL('dist', import.meta.url))) {
  const { build } = await import('vite')
  const before = process.env.NODE_ENV
  // Under another name, as in tests, React would be built in its form for development: twice as large and
  // slow.
  process.env.NODE_ENV = 'production'
  try {
    await build({
      root,
      configFile: `${root}vite.config.mjs`,
      logLevel: 'error',
      build: { outDir, emptyOutDir: true },
    })
  } finally {
    if (before === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = before
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await buildWeb()
  } catch (error) {
    console.error(`the console has no pages, since they could not be built: ${error.message}`)
  }
}
