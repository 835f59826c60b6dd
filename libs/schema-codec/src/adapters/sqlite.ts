/**
 * The codec of the embedded profile. It keeps schemas in an SQLite file, with ids from 1, and decides on
 * compatibility as a registry does.
 */
import { existsSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { type AvroRecordSchema, isRecordSchema, isSchema } from '@sluice/contracts/avro/types'
import { SluiceError } from '@sluice/contracts/errors'
import { jsonOf } from '@sluice/contracts/safe-json'
import { isSqliteDiskCode } from '@sluice/domain/disk-failure'
import { sleep } from '@sluice/flow/sleep'
import { incompatibilities, incompatibleError } from '../compatibility.ts'
import type { Compatibility, SchemaCodec, SubjectSchema } from '../port.ts'
import { AvroCodec, type SchemaStore } from './avro-codec.ts'
import type { AvscType } from './avsc.ts'
import { sharedType } from './avro.ts'

export interface SqliteCodecOptions {
  /** Path of the SQLite file, which is made if it is missing. The log and other processes may use it, too. */
  readonly file: string
  /** A call waits at most this long for other writers of the file. Default 30 s. */
  readonly busyTimeoutMs?: number
  /**
   * If this file exists, its schemas are copied first. It is only read, and nobody may write to it meanwhile.
   */
  readonly copyOf?: string
}

/**
 * Opens the file at the first use. A failure is `unreachable`, or `conflict` if other writers held the file
 * for the whole wait.
 */
export function createSqliteCodec(options: SqliteCodecOptions): SchemaCodec {
  return new AvroCodec(new SqliteStore(options))
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS schema_texts (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE IF NOT EXISTS schema_versions (
    subject TEXT NOT NULL, version INTEGER NOT NULL, schema_id INTEGER NOT NULL REFERENCES schema_texts (id),
    PRIMARY KEY (subject, version)
  ) STRICT, WITHOUT ROWID;
`
const SQLITE_BUSY = 5
const BUSY_TIMEOUT_MS = 30_000
const BUSY_RETRY_MS = 10
const BUSY_READ_MS = 1_000

class SqliteStore implements SchemaStore {
  readonly #file: string
  readonly #busyTimeoutMs: number
  readonly #copyOf: string | null
  #opened: DatabaseSync | undefined

  constructor({ file, busyTimeoutMs = BUSY_TIMEOUT_MS, copyOf }: SqliteCodecOptions) {
    this.#file = file
    this.#busyTimeoutMs = busyTimeoutMs
    this.#copyOf = copyOf ?? null
  }

  async register(
    subject: string,
    schema: AvroRecordSchema,
    options: { signal: AbortSignal; compatibility: Compatibility },
  ): Promise<number> {
    const { compatibility } = options
    const version = { subject, schema, text: JSON.stringify(schema), compatibility }
    return this.#whenFree(options, database => registerIn(database, version))
  }

  async typeById(id: number, options: { signal: AbortSignal }): Promise<AvscType> {
    const row = await this.#whenFree(options, database =>
      database.prepare('SELECT text FROM schema_texts WHERE id = ?').get(id),
    )
    if (row === undefined) {
      throw new SluiceError(
        'corrupt',
        `A record names schema ${id}, which ${this.#file} does not have: the record comes from elsewhere, or the file was replaced.`,
      )
    }
    const schema = schemaFrom(row['text'])
    try {
      return sharedType(schema)
    } catch (cause) {
      throw new SluiceError('corrupt', `Schema ${id} of ${this.#file} is no schema that can be read.`, {
        cause,
      })
    }
  }

  /**
   * Does the work once no other writer holds the file. SQLite itself would block the thread while it waits,
   * and with it a writer of this very process. So SQLite does not wait, and this tries again.
   */
  async #whenFree<T>(options: { signal: AbortSignal }, work: (database: DatabaseSync) => T): Promise<T> {
    const deadline = performance.now() + this.#busyTimeoutMs
    for (;;) {
      try {
        return work(this.#database())
      } catch (error) {
        if (!isSqliteError(error)) throw error
        if (isSqliteDiskCode(error.errcode)) {
          const message = `Cannot keep schemas in ${this.#file}: ${error.message}. Make room on that disk and run again.`
          throw new SluiceError('disk', message, { cause: error })
        }
        if (error.errcode % 256 !== SQLITE_BUSY) {
          throw new SluiceError('unreachable', `Cannot keep schemas in ${this.#file}: ${error.message}.`, {
            cause: error,
          })
        }
        if (performance.now() > deadline) {
          const waited = `${this.#busyTimeoutMs} ms`
          throw new SluiceError(
            'conflict',
            `Others were writing to ${this.#file} for ${waited} without a pause.`,
            {
              cause: error,
              retryable: true,
            },
          )
        }
      }
      await sleep(BUSY_RETRY_MS, options)
    }
  }

  #database(): DatabaseSync {
    if (this.#opened !== undefined) return this.#opened
    const database = new DatabaseSync(this.#file, { timeout: 0 })
    try {
      // A record must not outlive its schema, so each schema is on the disk before its id is used.
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
      database.exec(TABLES)
      if (this.#copyOf !== null) copySchemas(this.#copyOf, database)
    } catch (error) {
      database.close()
      throw error
    }
    this.#opened = database
    return database
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#opened?.close()
    this.#opened = undefined
  }
}

/**
 * Reads the latest schema of each subject in a file, and changes nothing. A process may work with the file. A
 * file without schemas has none. Throws SQLite's own errors.
 */
export function readLatestSchemas(file: string): readonly SubjectSchema[] {
  using database = new DatabaseSync(addressToRead(file), { readOnly: true, timeout: BUSY_READ_MS })
  const table = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'schema_versions'").get()
  if (table === undefined) return []
  return database
    .prepare(
      'SELECT subject, max(version), text FROM schema_versions JOIN schema_texts ON id = schema_id GROUP BY subject ORDER BY subject',
    )
    .all()
    .map(({ subject, text }) => ({ subject: String(subject), schema: schemaFrom(text) }))
}

/**
 * A file without a journal is opened as immutable, since SQLite would leave files beside it otherwise. If a
 * killed process left a journal, it is read, too.
 */
function addressToRead(file: string): URL {
  const journal = statSync(`${file}-wal`, { throwIfNoEntry: false })
  const url = pathToFileURL(file)
  if (journal === undefined || journal.size === 0) url.searchParams.set('immutable', '1')
  else url.searchParams.set('mode', 'ro')
  return url
}

/** Copies the schemas of another file. */
function copySchemas(file: string, database: DatabaseSync): void {
  if (!existsSync(file)) return
  database.prepare('ATTACH ? AS original').run(addressToRead(file).href)
  for (const table of ['schema_texts', 'schema_versions']) {
    const found = database.prepare('SELECT 1 FROM original.sqlite_schema WHERE name = ?').get(table)
    if (found !== undefined) database.exec(`INSERT INTO ${table} SELECT * FROM original.${table}`)
  }
  database.exec('DETACH original')
}

function registerIn(database: DatabaseSync, version: NewVersion): number {
  const known = knownId(database, version)
  if (known !== undefined) return known
  database.exec('BEGIN IMMEDIATE')
  try {
    const id = knownId(database, version) ?? addVersion(database, version)
    database.exec('COMMIT')
    return id
  } catch (error) {
    // If the disk is full, SQLite has rolled back already.
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function knownId(database: DatabaseSync, { subject, text }: NewVersion): number | undefined {
  const row = database
    .prepare(
      'SELECT id FROM schema_texts JOIN schema_versions ON schema_id = id WHERE subject = ? AND text = ?',
    )
    .get(subject, text)
  return row === undefined ? undefined : Number(row['id'])
}

function latestVersion(
  database: DatabaseSync,
  subject: string,
): { readonly id: number; readonly version: number; readonly text: string } | undefined {
  const row = database
    .prepare(
      'SELECT id, version, text FROM schema_versions JOIN schema_texts ON id = schema_id WHERE subject = ? ORDER BY version DESC LIMIT 1',
    )
    .get(subject)
  return row === undefined
    ? undefined
    : { id: Number(row['id']), version: Number(row['version']), text: String(row['text']) }
}

interface NewVersion {
  readonly subject: string
  readonly schema: AvroRecordSchema
  readonly text: string
  readonly compatibility: Compatibility
}

function addVersion(database: DatabaseSync, version: NewVersion): number {
  const { subject, schema, text, compatibility } = version
  const latest = latestVersion(database, subject)
  if (latest !== undefined && compatibility === 'backward') {
    const found = incompatibilities(schema, schemaFrom(latest.text))
    if (found.length > 0) throw incompatibleError(subject, found)
  }
  database.prepare('INSERT INTO schema_texts (text) VALUES (?) ON CONFLICT DO NOTHING').run(text)
  const id = Number(database.prepare('SELECT id FROM schema_texts WHERE text = ?').get(text)?.['id'])
  database
    .prepare('INSERT INTO schema_versions (subject, version, schema_id) VALUES (?, ?, ?)')
    .run(subject, (latest?.version ?? 0) + 1, id)
  return id
}

function schemaFrom(text: unknown): AvroRecordSchema {
  const schema = typeof text === 'string' ? jsonOf(text) : undefined
  if (!isSchema(schema) || !isRecordSchema(schema))
    throw new SluiceError('corrupt', 'A stored schema is no record schema.')
  return schema
}

function isSqliteError(error: unknown): error is Error & { readonly errcode: number } {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
}
