/**
 * Makes the npm package `sluice`: `npm run package` writes the folder `dist/sluice` and packs it into
 * `dist/sluice-<version>.tgz`. An argument names another folder than `dist`.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build, type Plugin } from 'vite'
import { z } from 'zod'
import { apiTypes } from './api-types.ts'
import { bundle, outsidePackages, ROOT } from './bundle.ts'
import { noticeFor } from './notice.ts'

const OUT = resolve(process.argv[2] ?? join(ROOT, 'dist'))
const PACKAGE = join(OUT, 'sluice')
const BUNDLE = join(PACKAGE, 'dist')
const PAGES = join(ROOT, 'services/console/web')

const { version, description, license } = z
  .object({ version: z.string(), description: z.string(), license: z.string() })
  .parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')))

rmSync(PACKAGE, { recursive: true, force: true })
mkdirSync(BUNDLE, { recursive: true })
const modules = new Set(await bundle(BUNDLE, { 'api.mjs': 'deploy/package/api-client.ts' }))
for (const path of await buildPages()) modules.add(path)
cpSync(join(ROOT, 'services/cli/starter'), join(BUNDLE, 'starter'), { recursive: true })
writeFileSync(join(BUNDLE, 'api.d.mts'), await apiTypes())
writeFileSync(join(PACKAGE, 'NOTICE'), noticeFor(modules))
copyFileSync(join(ROOT, 'deploy/package/README.md'), join(PACKAGE, 'README.md'))
for (const file of ['LICENSE', 'CHANGELOG.md']) copyFileSync(join(ROOT, file), join(PACKAGE, file))
writeFileSync(join(PACKAGE, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`)
execFileSync('npm', ['pack', '--pack-destination', OUT], { cwd: PACKAGE, stdio: 'inherit' })

function manifest(): object {
  const outside = Object.entries(outsidePackages())
  return {
    ...{ name: 'sluice', version, description, license },
    ...{ keywords: ['reverse-etl', 'etl', 'http', 'kafka', 'sync', 'liquid'], type: 'module' },
    engines: { node: '>=24' },
    bin: { sluice: 'dist/sluice.mjs' },
    exports: {
      './api': { types: './dist/api.d.mts', default: './dist/api.mjs' },
      './package.json': './package.json',
    },
    files: ['dist', 'NOTICE', 'CHANGELOG.md'],
    dependencies: Object.fromEntries(outside.map(([name, { version }]) => [name, version])),
  }
}

/** Builds the console's pages. Resolves with the files whose code is in them, absolute. */
async function buildPages(): Promise<ReadonlySet<string>> {
  // Under another name, as in tests, React would be built in its form for development.
  process.env['NODE_ENV'] = 'production'
  const found = new Set<string>()
  const noteModules: Plugin = {
    name: 'note-modules',
    generateBundle(_, output) {
      for (const file of Object.values(output))
        if (file.type === 'chunk') for (const id of file.moduleIds) found.add(id)
    },
  }
  await build({
    root: PAGES,
    configFile: join(PAGES, 'vite.config.mjs'),
    logLevel: 'error',
    plugins: [noteModules],
    build: { outDir: join(BUNDLE, 'pages'), emptyOutDir: true },
  })
  return found
}
