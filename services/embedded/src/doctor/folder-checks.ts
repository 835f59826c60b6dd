/**
 * Checks the files of the embedded profile: disk, rights, size, damage, and the remains of a killed process.
 */
import { existsSync, accessSync, constants, statSync, type Stats } from 'node:fs'
import { readdir, stat, statfs } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join, basename } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { ok, problem, warning, type Check } from '@sluice/control/health/check'
import type { Environment } from '@sluice/runtime/environment'
import { isSluiceError, messageOf } from '@sluice/contracts/errors'
import { keysOf } from '../folder-secrets.ts'
import { logFile } from '../state-folder.ts'

/** A larger file is not read whole, since that takes too long for a command. */
const MAX_READ_BYTES = 256 * 1024 * 1024

interface StateFile {
  readonly name: string
  /** The advice if it cannot be read. */
  readonly advice: string
  readonly faultOf: (path: string) => string | null
}

const USABLE = 'runs keep their log and state there: give it to the user who runs sluice, or move it away'

/**
 * Returns the problem of the folder as a whole; null if files can be looked for, and made, in it. This only
 * reads, and takes no lock: a process may begin to work in the folder meanwhile.
 */
export function dataDirProblem(dataDir: string, advice = USABLE): Check | null {
  const fault = statSync(dataDir).isDirectory()
    ? accessFault(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
    : 'it is a file; wanted a folder'
  if (fault === null) return null
  return problem('state', `${dataDir} cannot be used: ${fault}`, advice)
}

/** The problems of files that a run would fail with. Only for a folder in which no process works. */
export function fileProblems(dataDir: string, env: Environment): readonly Check[] {
  return filesOf(dataDir, env).flatMap(({ name, advice, faultOf }) => {
    const path = join(dataDir, name)
    const before = stateOf(path)
    if (before === null) return []
    const fault = typeFault(path) ?? accessFault(path, constants.R_OK | constants.W_OK) ?? faultOf(path)
    // A process that began to work in the folder meanwhile has changed the file.
    if (fault === null || stateOf(path) !== before) return []
    return [problem('state', `${path} cannot be used: ${fault}`, advice)]
  })
}

function filesOf(dataDir: string, env: Environment): readonly StateFile[] {
  const log = basename(logFile(dataDir))
  const any = (): null => null
  return [
    {
      name: log,
      advice: 'put a copy of it back, or remove it to start over: then every row is sent as added',
      faultOf: sqliteFault,
    },
    {
      name: `${log}-lock`,
      advice: 'remove it while no process works in the folder: the next run creates it again',
      faultOf: sqliteFault,
    },
    {
      name: 'limits.db',
      advice: 'remove it: limits are then counted from zero',
      faultOf: sqliteFault,
    },
    { name: 'under-way', advice: 'remove it: the next run creates it again', faultOf: any },
    {
      name: 'key',
      advice:
        'put a copy of it back, since only it opens what the vault keeps; or remove it, and set all secrets again',
      faultOf: () => keyFault(dataDir, env),
    },
  ]
}

/** A text that changes with each write to a file. Null if there is no file. */
function stateOf(path: string): string | null {
  if (!existsSync(path)) return null
  const parts = [path, `${path}-wal`].map(each => statSync(each, { throwIfNoEntry: false }))
  return JSON.stringify(parts.map(each => [each?.ino, each?.size, each?.mtimeMs]))
}

function typeFault(path: string): string | null {
  const found: Stats = statSync(path)
  if (found.isFile()) return null
  return `it is ${found.isDirectory() ? 'a folder' : 'no regular file'}; wanted a file`
}

function accessFault(path: string, mode: number): string | null {
  try {
    accessSync(path, mode)
    return null
  } catch (error) {
    return messageOf(error)
  }
}

/** Reads the file as it is, without its journal. */
function sqliteFault(path: string): string | null {
  const url = pathToFileURL(path)
  url.searchParams.set('immutable', '1')
  const journal = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  try {
    const db = new DatabaseSync(url, { readOnly: true })
    try {
      db.prepare('SELECT count(*) FROM sqlite_schema').get()
      // After a kill, the file and its journal are right only together.
      if (journal > 0 || statSync(path).size > MAX_READ_BYTES) return null
      const { quick_check: found } = db.prepare('PRAGMA quick_check(1)').get() ?? {}
      return found === 'ok' ? null : `it is damaged (${String(found).replace(/^.*\n/, '')})`
    } finally {
      db.close()
    }
  } catch (error) {
    return messageOf(error)
  }
}

function keyFault(dataDir: string, env: Environment): string | null {
  try {
    keysOf(dataDir, env).known()
    return null
  } catch (error) {
    if (isSluiceError(error, 'config')) return error.message
    throw error
  }
}

const MB = 1024 * 1024
/** A run of a million rows wants some hundred megabytes. */
const MIN_ROOM_BYTES = 512 * MB
const MAX_USUAL_BYTES = 20 * 1024 * MB
const FOR_OTHERS = 0o077

/** The surroundings of a folder, as a process sees them that does not work in it. */
export interface FolderAround {
  /** The path where a process that works in the folder listens; null if there is none. */
  readonly socket: string | null
  readonly env: Environment
}

/**
 * `around` is null in the process that works in the folder, since it has the files open and need not check
 * them.
 */
export async function folderChecks(
  dir: string,
  dataDir: string,
  around: FolderAround | null,
): Promise<readonly Check[]> {
  const { bavail, bsize } = await statfs(dir)
  const room = bavail * bsize
  const free = `${Math.round(room / MB).toLocaleString('en-US')} MB free at ${dir}`
  const disk =
    room < MIN_ROOM_BYTES
      ? problem('disk', free, 'make room: runs keep their log and state there')
      : ok('disk', free)
  if (!existsSync(dataDir)) {
    const advice = `a run makes ${dataDir}: let the user who runs sluice write there, or make it for that user`
    return [disk, dataDirProblem(folderAbove(dataDir), advice) ?? ok('state', 'nothing has run here yet')]
  }
  const unusable = dataDirProblem(dataDir)
  if (unusable !== null) return [disk, unusable]
  const checks = [disk, ...(await rightsChecks(dataDir)), await sizeCheck(dataDir)]
  if (around === null) return [...checks, ok('lock', 'this process works in the folder')]
  const { socket, env } = around
  const isAtWork = socket !== null && existsSync(socket) && (await answers(socket))
  const problems = isAtWork ? [] : fileProblems(dataDir, env)
  return [...checks, ...problems, holderCheck(socket, isAtWork)]
}

/** The nearest folder above that exists. */
function folderAbove(dataDir: string): string {
  const above = dirname(dataDir)
  return existsSync(above) ? above : folderAbove(above)
}

/** Checks that the owner alone can read the log, which has rows, and the key, which opens the vault. */
async function rightsChecks(dataDir: string): Promise<readonly Check[]> {
  const open: string[] = []
  for (const path of [dataDir, join(dataDir, 'key'), join(dataDir, 'log.db')]) {
    if (!existsSync(path)) continue
    const { mode } = await stat(path)
    if ((mode & FOR_OTHERS) !== 0) open.push(path)
  }
  if (open.length === 0) return [ok('rights', `only you can read ${dataDir}`)]
  const advice = `chmod -R go-rwx ${dataDir}`
  return [problem('rights', `others may read ${open.join(' and ')}`, advice)]
}

const sizeText = (bytes: number): string => `${Math.ceil(bytes / MB).toLocaleString('en-US')} MB`

async function sizeCheck(dataDir: string): Promise<Check> {
  let [bytes, logBytes] = [0, 0]
  for (const entry of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    // A file may go while others are counted.
    const size = await stat(join(entry.parentPath, entry.name)).then(
      stats => stats.size,
      () => 0,
    )
    bytes += size
    if (entry.name === 'log.db') logBytes += size
  }
  const found = `${sizeText(bytes)} in ${dataDir}, of which log.db has ${sizeText(logBytes)}`
  if (bytes < MAX_USUAL_BYTES) return ok('size', found)
  const advice =
    'requests and answers are kept for 7 days, and up to SLUICE_LOG_SIZE: set a smaller one, or use Kafka'
  return warning('size', found, advice)
}

/**
 * The check of the lock. A process that works in the folder is fine. A killed process leaves a socket on
 * which nobody listens.
 */
function holderCheck(socket: string | null, isAtWork: boolean): Check {
  if (socket === null || !existsSync(socket)) return ok('lock', 'no process works in the folder')
  if (isAtWork) return ok('lock', 'a process works in the folder, and takes commands')
  return warning(
    'lock',
    `${socket} is left of a process that was killed`,
    'nothing to do: the next run takes over, and finishes what was interrupted',
  )
}

function answers(socket: string): Promise<boolean> {
  return new Promise(resolve => {
    const asking = connect(socket)
    asking.once('connect', () => {
      asking.destroy()
      resolve(true)
    })
    asking.once('error', () => resolve(false))
  })
}
