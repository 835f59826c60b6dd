/**
 * Whether a run could use the files of the embedded profile. It only reads, and takes no lock: a process may
 * begin to work in the folder meanwhile.
 */
import { accessSync, constants, existsSync, statSync, type Stats } from 'node:fs'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { isSluiceError, messageOf } from '@sluice/contracts/errors'
import { problem, type Check } from '@sluice/control/health/check'
import type { Environment } from '@sluice/runtime/environment'
import { keysOf } from '../folder-secrets.ts'
import { logFile } from '../state-folder.ts'

/** To read all of a larger file takes longer than anybody wants to wait. */
const MOST_READ_BYTES = 256 * 1024 * 1024

interface StateFile {
  readonly name: string
  /** What to do if it cannot be read. */
  readonly advice: string
  readonly faultOf: (path: string) => string | null
}

const USABLE = 'runs keep their log and state there: give it to the user who runs sluice, or move it away'

/** The problem of the folder as a whole; null if files can be looked for, and made, in it. */
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
    // Whoever began to work in the folder meanwhile has changed what was read.
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
      advice: 'remove it while no process works in the folder: the next run makes it anew',
      faultOf: sqliteFault,
    },
    {
      name: 'limits.db',
      advice: 'remove it: limits are then counted from zero',
      faultOf: sqliteFault,
    },
    { name: 'under-way', advice: 'remove it: the next run makes it anew', faultOf: any },
    {
      name: 'key',
      advice:
        'put a copy of it back, since only it opens what the vault keeps; or remove it, and set all secrets anew',
      faultOf: () => keyFault(dataDir, env),
    },
  ]
}

/** Changes with each write to a file. Null if there is none. */
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

/** Reads it as it is, without its journal. */
function sqliteFault(path: string): string | null {
  const url = pathToFileURL(path)
  url.searchParams.set('immutable', '1')
  const journal = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  try {
    const db = new DatabaseSync(url, { readOnly: true })
    try {
      db.prepare('SELECT count(*) FROM sqlite_schema').get()
      // What a killed process has left in the journal may be half of what is in the file.
      if (journal > 0 || statSync(path).size > MOST_READ_BYTES) return null
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
