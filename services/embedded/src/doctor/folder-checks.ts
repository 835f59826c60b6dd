/** The files of the embedded profile: room, rights, size, and what a killed process has left. */
import { existsSync } from 'node:fs'
import { readdir, stat, statfs } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { ok, problem, warning, type Check } from '@sluice/control/health/check'
import type { Environment } from '@sluice/runtime/environment'
import { dataDirProblem, fileProblems } from './file-checks.ts'

const MB = 1024 * 1024
/** A run of a million rows wants some hundred megabytes. */
const LITTLE_ROOM_BYTES = 512 * MB
const MUCH_BYTES = 20 * 1024 * MB
const FOR_OTHERS = 0o077

/** What a process that works in no folder knows of one. */
export interface FolderAround {
  /** Where a process that works in the folder would listen; null where there can be none. */
  readonly socket: string | null
  readonly env: Environment
}

/** `around` is null for the process that works in the folder: it has the files open, and need not look. */
export async function folderChecks(
  dir: string,
  dataDir: string,
  around: FolderAround | null,
): Promise<readonly Check[]> {
  const { bavail, bsize } = await statfs(dir)
  const room = bavail * bsize
  const free = `${Math.round(room / MB).toLocaleString('en-US')} MB free at ${dir}`
  const disk =
    room < LITTLE_ROOM_BYTES
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

/** Where the folder would be made. */
function folderAbove(dataDir: string): string {
  const above = dirname(dataDir)
  return existsSync(above) ? above : folderAbove(above)
}

/** The log has rows of customers, and the key opens the vault. Both are for their owner alone. */
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
  if (bytes < MUCH_BYTES) return ok('size', found)
  const advice =
    'requests and answers are kept for 7 days, and up to SLUICE_LOG_SIZE: set a smaller one, or use Kafka'
  return warning('size', found, advice)
}

/**
 * A process that works in the folder is all right. A socket that nobody listens on was left by a killed one.
 */
function holderCheck(socket: string | null, isAtWork: boolean): Check {
  if (socket === null || !existsSync(socket)) return ok('lock', 'no process works in the folder')
  if (isAtWork) return ok('lock', 'a process works in the folder, and takes commands')
  return warning(
    'lock',
    `${socket} is left of a process that was killed`,
    'nothing to do: the next run takes the place over, and finishes what was cut off',
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
