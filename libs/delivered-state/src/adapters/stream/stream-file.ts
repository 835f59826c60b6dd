/**
 * The SQLite file of a state by key, and the check whether an existing file can be trusted. A file is thrown
 * away if it is damaged, or of another format, sync, incarnation or number of partitions. The topics have all
 * its data.
 */
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { isSqliteDiskCode } from '@sluice/domain/disk-failure'
import type { StateOptions } from '../../port.ts'
import { STREAM_FORMAT, TABLES } from './tables.ts'

export interface StreamFileOptions extends Omit<StateOptions, 'onDiscard'> {
  readonly file: string
}

/** Pages in the write-ahead log before SQLite moves them into the file. */
const CHECKPOINT_PAGES = 4_000
const JOURNAL_BYTES = 64 * 1024 * 1024

const BUSY = 5
const LOCKED = 6
const CORRUPT = 11
const NOT_A_DATABASE = 26

export type SqlValue = string | number | null | Uint8Array

/** An open file. Its calls are synchronous. Each throws a `SluiceError`. */
export class StreamFile {
  readonly #path: string
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(path: string, db: DatabaseSync) {
    this.#path = path
    this.#db = db
  }

  /** Does the work in one transaction: all of it, or nothing. */
  transaction<T>(work: () => T): T {
    return this.#translating(() => {
      this.#db.exec('BEGIN IMMEDIATE')
      try {
        const result = work()
        this.#db.exec('COMMIT')
        return result
      } catch (error) {
        // SQLite rolls some transactions back by itself.
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
        throw error
      }
    })
  }

  /** Returns the values of the first row; undefined if there is none. */
  get(sql: string, ...values: readonly SqlValue[]): readonly SqlValue[] | undefined {
    return this.#translating(() => this.#statement(sql).get(...values) as SqlValue[] | undefined)
  }

  all(sql: string, ...values: readonly SqlValue[]): readonly (readonly SqlValue[])[] {
    return this.#translating(() => this.#statement(sql).all(...values) as unknown as SqlValue[][])
  }

  run(sql: string, ...values: readonly SqlValue[]): void {
    this.#translating(() => this.#statement(sql).run(...values))
  }

  /** Sets how much of the file SQLite keeps in memory, and frees what is beyond. */
  setCache(kib: number): void {
    this.#translating(() => this.#db.exec(`PRAGMA cache_size = -${kib}`))
  }

  close(): void {
    this.#statements.clear()
    if (this.#db.isOpen) this.#db.close()
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sql)
    statement.setReturnArrays(true)
    this.#statements.set(sql, statement)
    return statement
  }

  #translating<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw asStreamStateError(error, this.#path)
    }
  }
}

/**
 * Opens the file, or makes a new one in its place. In the second case, `reason` says why the existing file is
 * not used; it is null if none existed. Throws `conflict` if somebody has it open, and `disk`.
 */
export function openStreamFile(options: StreamFileOptions): {
  readonly file: StreamFile
  readonly reason: string | null
} {
  mkdirSync(dirname(options.file), { recursive: true })
  if (!existsSync(options.file)) {
    // A write-ahead log without its file belongs to nothing.
    removeStreamFile(options.file)
    return { file: createFile(options), reason: null }
  }
  const found = tryOpen(options)
  if (typeof found !== 'string') return { file: found, reason: null }
  removeStreamFile(options.file)
  return { file: createFile(options), reason: found }
}

export function removeStreamFile(path: string): void {
  for (const end of ['', '-wal', '-shm', '-journal']) rmSync(`${path}${end}`, { force: true })
}

/** True if this version can use a file that nobody has open. Changes nothing. */
export function fitsStreamFormat(path: string): boolean {
  const url = pathToFileURL(path)
  const journal = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  // A file without a journal is opened as immutable, which leaves no files beside it.
  url.searchParams.set(journal === 0 ? 'immutable' : 'mode', journal === 0 ? '1' : 'ro')
  try {
    using db = new DatabaseSync(url, { readOnly: true })
    return db.prepare("SELECT value FROM meta WHERE name = 'format'").get()?.['value'] === STREAM_FORMAT
  } catch {
    return false
  }
}

function identityOf({ sync, incarnation, partitions }: StreamFileOptions): {
  readonly [name: string]: string
} {
  return { format: STREAM_FORMAT, sync, incarnation, partitions: String(partitions) }
}

function createFile(options: StreamFileOptions): StreamFile {
  const db = connect(options.file)
  try {
    db.exec(`BEGIN IMMEDIATE; ${TABLES}`)
    const meta = db.prepare('INSERT INTO meta VALUES (?, ?)')
    for (const [name, value] of Object.entries(identityOf(options))) meta.run(name, value)
    const positions = db.prepare('INSERT INTO positions VALUES (?, 0, 0, 0, NULL, NULL, NULL)')
    for (let partition = 0; partition < options.partitions; partition += 1) positions.run(partition)
    db.exec('COMMIT')
    return new StreamFile(options.file, db)
  } catch (error) {
    db.close()
    throw asStreamStateError(error, options.file)
  }
}

/** Returns the open file, or why it cannot be trusted. */
function tryOpen(options: StreamFileOptions): StreamFile | string {
  let db: DatabaseSync | null = null
  try {
    db = connect(options.file)
    const mismatch = mismatchOf(db, options)
    if (mismatch === null) return new StreamFile(options.file, db)
    db.close()
    return mismatch
  } catch (error) {
    db?.close()
    const translated = asStreamStateError(error, options.file)
    if (isSluiceError(translated, 'conflict') || isSluiceError(translated, 'disk')) throw translated
    return `it cannot be read: ${messageOf(error)}`
  }
}

function mismatchOf(db: DatabaseSync, options: StreamFileOptions): string | null {
  const rows = db.prepare('SELECT name, value FROM meta').all()
  const meta = new Map(rows.map(({ name, value }) => [name, value]))
  for (const [name, wanted] of Object.entries(identityOf(options))) {
    const found = meta.get(name)
    if (found === wanted) continue
    if (name === 'format') return 'another version of Sluice made it'
    return `its ${name} is ${String(found ?? 'unknown')} instead of ${wanted}`
  }
  const counted = db.prepare('SELECT count(*) AS count, max(number) AS high FROM positions').get()
  if (counted?.['count'] !== options.partitions || counted['high'] !== options.partitions - 1)
    return 'its positions do not match its partitions'
  return null
}

function connect(path: string): DatabaseSync {
  try {
    const db = new DatabaseSync(path)
    try {
      // Only one process uses the file. Commits are not synced one by one, so a power cut may undo the last
      // ones together with their positions.
      db.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
        PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA journal_size_limit = ${JOURNAL_BYTES};
        PRAGMA temp_store = MEMORY;`)
      return db
    } catch (error) {
      db.close()
      throw error
    }
  } catch (error) {
    throw asStreamStateError(error, path)
  }
}

function asStreamStateError(error: unknown, path: string): unknown {
  if (isSluiceError(error)) return error
  const code = codeOf(error)
  if (code === null) return error
  const reason = messageOf(error)
  if (code === BUSY || code === LOCKED)
    return new SluiceError('conflict', `Somebody has the delivered state ${path} open already.`, {
      cause: error,
      retryable: true,
    })
  if (isSqliteDiskCode(code)) {
    const advice = 'Make room on that disk; it is a cache, and nothing was lost.'
    return new SluiceError('disk', `The delivered state ${path} cannot be written: ${reason}. ${advice}`, {
      cause: error,
    })
  }
  if (code === CORRUPT || code === NOT_A_DATABASE)
    return new SluiceError('corrupt', `The delivered state ${path} cannot be trusted: ${reason}`, {
      cause: error,
    })
  return new SluiceError('internal', `The delivered state ${path} fails: ${reason}`, { cause: error })
}

function codeOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null
  return error.errcode & 0xff
}
