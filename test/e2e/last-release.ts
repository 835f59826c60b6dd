/** The package of the last release, which is kept as a fixture, and packages of this version. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { npmEnvironment } from './npm-environment.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BUILD = 'deploy/package/build-package.ts'

const VERSION = '0.1.0'
/** The last release. The version that follows it has to work beside it. */
export const LAST_RELEASE = {
  version: VERSION,
  file: join(ROOT, `test/fixtures/last-release/sluice-${VERSION}.tgz`),
}

const run = promisify(execFile)

/** Installs the last release into a new folder. Resolves with the file of its command. */
export async function installLastRelease(): Promise<{ readonly program: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-last-release-'))
  await installInto(folder, LAST_RELEASE.file)
  return {
    program: join(folder, 'node_modules/sluice/dist/sluice.mjs'),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Runs `npm install` of a package in a folder. Resolves with what npm wrote on stderr. */
export async function installInto(folder: string, tarball: string): Promise<string> {
  const how = { cwd: folder, env: npmEnvironment() }
  const { stderr } = await run('npm', ['install', tarball, '--prefer-offline'], how)
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
