import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { constants } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024

/** Folders in which Debian keeps programs that are not on the PATH. */
const MORE_FOLDERS = [
  '/usr/sbin',
  '/usr/local/sbin',
  ...[18, 17, 16, 15, 14].map(version => `/usr/lib/postgresql/${version}/bin`),
]

/** A program that a service needs, and the Debian package that has it. */
export interface Program {
  readonly command: string
  readonly debianPackage: string
}

/** The full path of a program, or null. */
async function findProgram(command: string): Promise<string | null> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...MORE_FOLDERS]
  for (const folder of folders) {
    if (folder === '') continue
    const path = join(folder, command)
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path
  }
  return null
}

/** One apt at a time: services are started in parallel. */
let installing: Promise<unknown> = Promise.resolve()

/**
 * Resolves to the paths of the programs, in order. Installs missing programs with apt-get if that is possible
 * (Debian or Ubuntu, as root or with `sudo -n`), and says so on stderr. Otherwise it rejects, names the
 * missing programs and says how to get them.
 */
export async function ensurePrograms(programs: readonly Program[]): Promise<string[]> {
  const turn = installing.then(() => installMissing(programs))
  installing = turn.catch(() => {})
  return turn
}

async function installMissing(programs: readonly Program[]): Promise<string[]> {
  const missing = await missingOf(programs)
  if (missing.length > 0) await aptInstall([...new Set(missing.map(program => program.debianPackage))])
  const stillMissing = await missingOf(programs)
  if (stillMissing.length > 0) throw new Error(`not found even now: ${names(stillMissing)}`)
  const paths = await Promise.all(programs.map(program => findProgram(program.command)))
  return paths.filter(path => path !== null)
}

async function missingOf(programs: readonly Program[]): Promise<Program[]> {
  const found = await Promise.all(programs.map(program => findProgram(program.command)))
  return programs.filter((_, index) => found[index] === null)
}

async function aptInstall(packages: readonly string[]): Promise<void> {
  const apt = await findProgram('apt-get')
  const prefix = apt === null ? null : await rootPrefix()
  if (apt === null || prefix === null)
    throw new Error(
      `missing on this machine: ${packages.join(', ')} (Debian's names). Install them, or start Docker`,
    )
  process.stderr.write(`installing with apt-get: ${packages.join(', ')}\n`)
  const aptRun = async (...args: string[]) => {
    const command = [
      ...prefix,
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      apt,
      '-o',
      'DPkg::Lock::Timeout=300',
      ...args,
    ]
    const [program = '', ...rest] = command
    await run(program, rest, { maxBuffer: OUTPUT_LIMIT_BYTES })
  }
  const install = () => aptRun('install', '-y', '-qq', '--no-install-recommends', ...packages)
  // The lists of a fresh image are absent or stale; only then is an update worth its seconds.
  await install().catch(async () => {
    await aptRun('update', '-qq')
    await install()
  })
}

async function rootPrefix(): Promise<string[] | null> {
  if (process.getuid?.() === 0) return []
  const sudo = await findProgram('sudo')
  if (sudo === null) return null
  return run(sudo, ['-n', 'true']).then(
    () => [sudo, '-n'],
    () => null,
  )
}

const names = (programs: readonly Program[]) => programs.map(program => program.command).join(', ')

/** Returns the folder that keeps downloads between runs. */
function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  return join(base, 'sluice-services')
}

/**
 * A folder of the cache, filled once. `fill` works in a folder of its own, which takes the place of the
 * cached one only when it is complete. So an interrupted or concurrent download leaves nothing half done.
 */
export async function cached(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const target = join(cacheFolder(), name)
  const there = await access(target).then(
    () => true,
    () => false,
  )
  if (there) return target
  await mkdir(cacheFolder(), { recursive: true })
  const draft = await mkdtemp(join(cacheFolder(), `${name}.draft-`))
  try {
    process.stderr.write(`downloading ${name} to ${cacheFolder()}\n`)
    await fill(draft)
    await rename(draft, target)
  } catch (error) {
    const lostTheRace = await access(target).then(
      () => true,
      () => false,
    )
    if (!lostTheRace) throw error
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return target
}

/** Runs Maven in a folder with a pom that has these dependencies (`group:artifact:version`). */
export async function mavenDependencies(folder: string, dependencies: readonly string[]): Promise<void> {
  const [maven = 'mvn'] = await ensurePrograms([{ command: 'mvn', debianPackage: 'maven' }])
  const entries = dependencies.map(coordinates => {
    const [group = '', artifact = '', version = ''] = coordinates.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`
  })
  const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>sluice</groupId><artifactId>local-services</artifactId><version>1</version>
<dependencies>${entries.join('\n')}</dependencies></project>`
  await writeFile(join(folder, 'pom.xml'), pom)
  const args = ['-q', '-B', '-f', join(folder, 'pom.xml'), 'dependency:copy-dependencies']
  await run(maven, [...args, `-DoutputDirectory=${join(folder, 'libs')}`], { maxBuffer: OUTPUT_LIMIT_BYTES })
}

/** Fetches one artifact (`group:artifact:version:type[:classifier]`) into a folder and unpacks it there. */
export async function mavenArchive(folder: string, artifact: string): Promise<void> {
  const [maven = 'mvn', tar = 'tar'] = await ensurePrograms([
    { command: 'mvn', debianPackage: 'maven' },
    { command: 'tar', debianPackage: 'tar' },
  ])
  const [, name = '', version = '', type = '', classifier] = artifact.split(':')
  const args = ['-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`]
  await run(maven, args, { cwd: folder, maxBuffer: OUTPUT_LIMIT_BYTES })
  const file = [name, version, ...(classifier === undefined ? [] : [classifier])].join('-')
  const archive = join(folder, `${file}.${type}`)
  await run(tar, ['-xzf', archive, '-C', folder])
  await rm(archive)
}

/** The path of a Java of at least version 17. */
export async function ensureJava(): Promise<string> {
  const [java = 'java'] = await ensurePrograms([{ command: 'java', debianPackage: 'default-jre-headless' }])
  const { stderr } = await run(java, ['-version'])
  const major = Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0)
  if (major < 17) throw new Error(`Java 17 or newer is needed, found: ${stderr.split('\n')[0] ?? 'nothing'}`)
  return java
}
