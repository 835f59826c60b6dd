/**
 * The bundle of the package on the packages of this checkout: tests and benches start processes from it as
 * users do, and need no installation for that.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bundle, outsidePackages, ROOT } from './bundle.ts'

let made: Promise<string> | undefined

/** Resolves with the folder of the bundle, which is made once for this process and removed with it. */
export function linkedBundle(): Promise<string> {
  return (made ??= make())
}

async function make(): Promise<string> {
  const caches = join(ROOT, 'node_modules/.cache')
  mkdirSync(caches, { recursive: true })
  const around = mkdtempSync(join(caches, 'sluice-bundle-'))
  process.once('exit', () => rmSync(around, { recursive: true, force: true }))
  const packages = join(around, 'node_modules')
  const folder = join(packages, 'sluice/dist')
  await bundle(folder)
  const links = {
    ...Object.fromEntries(Object.entries(outsidePackages()).map(([name, { folder }]) => [name, folder])),
    'sluice/dist/starter': join(ROOT, 'services/cli/starter'),
    'sluice/dist/pages': join(ROOT, 'services/console/web/dist'),
  }
  for (const [name, path] of Object.entries(links)) {
    mkdirSync(dirname(join(packages, name)), { recursive: true })
    symlinkSync(path, join(packages, name), 'junction')
  }
  return folder
}
