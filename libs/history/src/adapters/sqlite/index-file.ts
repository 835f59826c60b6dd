/**
 * The file of the index. It can be filled again from the topics, so an empty file replaces one that cannot be
 * read, or that another version wrote.
 */
import { chmodSync, existsSync, rmSync, statSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { isSqliteDiskCode } from '@sluice/domain/disk-failure'
import { FORMAT, TABLES } from './tables.ts'

const OWNER_ONLY = 0o600
/** KiB of pages that SQLite keeps in memory. */
const CACHE_KIB = 32 * 1024
/** Pages in the write-ahead log before SQLite moves them into the file. */
const CHECKPOINT_PAGES = 4_000

const BUSY = 5
const LOCKED = 6
const CORRUPT = 11
const NOT_A_DATABASE = 26

export type Value = string | number | null | Uint8Array
export type Row = Record<string, unknown>

export class IndexFile {
  readonly path: string
  readonly #onRenew: (why: string) => void
  #db: DatabaseSync
  #statements = new Map<string, StatementSync>()

  /**
   * Calls `onRenew` with the reason when it replaces a file. Throws `conflict` if another process has the
   * file, and `disk` if the disk is full or fails.
   */
  constructor(path: string, onRenew: (why: string) => void) {
    this.path = path
    this.#onRenew = onRenew
    try {
      this.#db = openFile(path)
    } catch (error) {
      if (!isDamage(error)) throw this.#translated(error)
      this.#db = this.#replaced(messageOf(error))
    }
  }

  /** Runs `work`. If the file turns out to be damaged, it is replaced, and this throws `corrupt`. */
  use<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (!isDamage(error)) throw this.#translated(error)
      this.#close()
      this.#db = this.#replaced(messageOf(error))
      throw new SluiceError('corrupt', `The index of the history was damaged, and begins again.`, {
        cause: error,
        retryable: true,
      })
    }
  }

  /** Does the same as `use`, in one transaction. */
  transaction<T>(work: () => T): T {
    return this.use(() => {
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

  all(sql: string, ...values: readonly Value[]): readonly Row[] {
    return this.use(() => this.#statement(sql).all(...values))
  }

  get(sql: string, ...values: readonly Value[]): Row | undefined {
    return this.use(() => this.#statement(sql).get(...values))
  }

  run(sql: string, ...values: readonly Value[]): { readonly id: number; readonly changes: number } {
    const { lastInsertRowid, changes } = this.use(() => this.#statement(sql).run(...values))
    return { id: Number(lastInsertRowid), changes: Number(changes) }
  }

  close(): void {
    this.#close()
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  #replaced(why: string): DatabaseSync {
    this.#onRenew(why)
    this.#statements = new Map()
    for (const end of ['', '-wal', '-shm', '-journal']) rmSync(`${this.path}${end}`, { force: true })
    return openFile(this.path)
  }

  #close(): void {
    this.#statements = new Map()
    if (this.#db.isOpen) this.#db.close()
  }

  #translated(error: unknown): unknown {
    if (isSluiceError(error)) return error
    const code = codeOf(error)
    if (code === null) return error
    const reason = messageOf(error)
    if (code === BUSY || code === LOCKED)
      return new SluiceError('conflict', `${this.path} is in use by another process.`, { cause: error })
    if (isSqliteDiskCode(code))
      return new SluiceError('disk', `${this.path} cannot be read or written: ${reason}.`, { cause: error })
    return new SluiceError('unreachable', `${this.path} cannot be read or written: ${reason}`, {
      cause: error,
      retryable: true,
    })
  }
}

/** The file has something that no index of this version has. */
class Alien extends Error {}

function openFile(path: string): DatabaseSync {
  const isNew = !existsSync(path)
  const db = new DatabaseSync(path)
  try {
    if (isNew) chmodSync(path, OWNER_ONLY)
    // Only one process uses the file. Commits are not synced one by one, so a power cut may undo the last
    // batches together with their positions.
    db.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL; PRAGMA cache_size = -${CACHE_KIB};
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA temp_store = MEMORY;`)
    const tables = db.prepare('SELECT count(*) AS count FROM sqlite_schema').get()?.['count']
    if (tables === 0) db.exec(`BEGIN IMMEDIATE; ${TABLES}; COMMIT`)
    const format = db.prepare("SELECT value FROM meta WHERE name = 'format'").get()?.['value']
    if (format !== FORMAT) throw new Alien(`its format is ${String(format)}, and this version has ${FORMAT}`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/**
 * Reads the format of an index in which no process works, and changes nothing. Null if it cannot be read.
 * `fits` is false if this version replaces the file.
 */
export function readIndexFormat(path: string): { readonly format: number | null; readonly fits: boolean } {
  const url = pathToFileURL(path)
  const journal = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  // A file without a journal is opened as immutable, which leaves no files beside it.
  url.searchParams.set(journal === 0 ? 'immutable' : 'mode', journal === 0 ? '1' : 'ro')
  try {
    using db = new DatabaseSync(url, { readOnly: true })
    const format = db.prepare("SELECT value FROM meta WHERE name = 'format'").get()?.['value']
    return { format: typeof format === 'number' ? format : null, fits: format === FORMAT }
  } catch {
    return { format: null, fits: false }
  }
}

/** True if the file is damaged, or of another version. */
function isDamage(error: unknown): boolean {
  const code = codeOf(error)
  const isAlien = error instanceof Error && /no such (table|column)|malformed/.test(error.message)
  return error instanceof Alien || isAlien || code === CORRUPT || code === NOT_A_DATABASE
}

function codeOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null
  return error.errcode & 0xff
}

/** A number of a row. Throws for anything else, which no sound file has. */
export function numberOf(row: Row | undefined, column: string): number {
  const value = row?.[column]
  if (typeof value === 'number') return value
  throw new Alien(`it has no number in ${column}`)
}

export function textOf(row: Row, column: string): string {
  const value = row[column]
  if (typeof value === 'string') return value
  throw new Alien(`it has no text in ${column}`)
}
