/**
 * The package of the last release, built from the commit of that release with the packages of this checkout.
 * It is kept in the cache of the packages, since building takes a while.
 */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BUILD = 'deploy/package/build-package.ts'

/** The last release. The version that follows it has to work beside it. */
export const LAST_RELEASE = { version: '0.1.0', commit: 'd5a2058c225a8ec9e2e1148b55a793d8273712f1' }

const run = promisify(execFile)

/** False in a clone without the history: then the tests that want the last release are skipped. */
export function hasLastRelease(): boolean {
  if (process.env['SLUICE_TEST_LAST_RELEASE'] !== undefined) return true
  try {
    execFileSync('git', ['cat-file', '-e', LAST_RELEASE.commit], { cwd: ROOT, stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/**
 * Installs the last release into a new folder. Resolves with the file of its command.
 * SLUICE_TEST_LAST_RELEASE names another one.
 */
export async function installLastRelease(): Promise<{ readonly program: string } & AsyncDisposable> {
  const given = process.env['SLUICE_TEST_LAST_RELEASE']
  if (given !== undefined) return { program: given, [Symbol.asyncDispose]: () => Promise.resolve() }
  const folder = await mkdtemp(join(tmpdir(), 'sluice-last-release-'))
  await installInto(folder, await lastReleasePackage())
  return {
    program: join(folder, 'node_modules/sluice/dist/sluice.mjs'),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Runs `npm install` of a package in a folder. Resolves with what npm wrote on stderr. */
export async function installInto(folder: string, tarball: string): Promise<string> {
  const { PATH = '', HOME, npm_config_cache, npm_config_registry } = process.env
  // npm takes the first Node on the path, as for a user who has no other.
  const path = [dirname(process.execPath), PATH].join(delimiter)
  const env = { PATH: path, HOME, npm_config_cache, npm_config_registry }
  const { stderr } = await run('npm', ['install', tarball, '--prefer-offline'], { cwd: folder, env })
  return stderr
}

/** Resolves with the package of this version, built into a folder. */
export async function buildPackage(into: string, root = ROOT): Promise<string> {
  const node = ['--disable-warning=ExperimentalWarning', join(root, BUILD), into]
  await run(process.execPath, node, { cwd: root, maxBuffer: 2 ** 26 })
  const name = (await readdir(into)).find(file => file.endsWith('.tgz'))
  if (name === undefined) throw new Error(`there is no package in ${into}`)
  return join(into, name)
}

/** Resolves with the package of the last release. */
export async function lastReleasePackage(): Promise<string> {
  const { commit, version } = LAST_RELEASE
  const cache = join(ROOT, 'node_modules/.cache/sluice-releases')
  const kept = join(cache, `${commit}.tgz`)
  if (existsSync(kept)) return kept
  const folder = await mkdtemp(join(tmpdir(), `sluice-${version}-`))
  try {
    const archive = join(folder, 'sources.tar')
    const sources = join(folder, 'sources')
    await mkdir(sources)
    await run('git', ['archive', '--output', archive, commit], { cwd: ROOT })
    await run('tar', ['-xf', archive, '-C', sources])
    await linkPackages(sources)
    const built = await buildPackage(join(folder, 'built'), sources)
    await mkdir(cache, { recursive: true })
    // Another test file may build it at the same time.
    const own = join(cache, `${process.pid}.tgz`)
    await cp(built, own)
    await rename(own, kept)
    return kept
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * Links the packages of this checkout into the sources, but for the rooms, which are those of the release.
 */
async function linkPackages(sources: string): Promise<void> {
  const packages = join(sources, 'node_modules')
  await mkdir(packages)
  for (const name of await readdir(join(ROOT, 'node_modules')))
    if (name !== '@sluice' && name !== '.cache')
      await symlink(join(ROOT, 'node_modules', name), join(packages, name))
  await mkdir(join(packages, '@sluice'))
  for (const above of ['libs', 'services'])
    for (const room of await readdir(join(sources, above))) {
      await symlink(join(sources, above, room), join(packages, '@sluice', room))
      const own = join(ROOT, above, room, 'node_modules')
      if (existsSync(own)) await symlink(own, join(sources, above, room, 'node_modules'))
    }
}
