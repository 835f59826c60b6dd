/**
 * The tables of the embedded log, and every statement on them. All calls are synchronous and short, and keep
 * no state in memory but the connection. Other rooms have tables in the same file, so the names of these
 * begin with `log_`.
 */
import { existsSync, rmSync, statSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { SluiceError } from '@sluice/contracts/errors'
import type { TopicSpec } from '../../port.ts'

/** The version of the tables, and of the batches in them. */
export const LOG_FORMAT = 1

const TABLES = `
  CREATE TABLE IF NOT EXISTS log_format (version INTEGER NOT NULL, written_by TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS log_topic (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, spec TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS log_partition (
    id INTEGER PRIMARY KEY AUTOINCREMENT, topic INTEGER NOT NULL, partition INTEGER NOT NULL,
    low INTEGER NOT NULL, "end" INTEGER NOT NULL, cleaned INTEGER NOT NULL, UNIQUE (topic, partition)) STRICT;
  CREATE TABLE IF NOT EXISTS log_batch (
    partition INTEGER NOT NULL, base INTEGER NOT NULL, last INTEGER NOT NULL,
    at INTEGER NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (partition, base)) STRICT;
  CREATE TABLE IF NOT EXISTS log_commit (
    member_group TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (member_group, partition)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS log_garbage (partition INTEGER PRIMARY KEY) STRICT;
`

export interface StoredTopic {
  readonly id: number
  readonly spec: TopicSpec
}

export interface StoredPartition {
  readonly id: number
  readonly topic: number
  readonly partition: number
  readonly low: number
  readonly end: number
  readonly cleaned: number
}

/**
 * A stored batch without its records. Its offsets go from `base` to `last`, and compaction may have removed
 * some.
 */
export interface BatchHead {
  readonly base: number
  readonly last: number
  readonly at: number
  readonly size: number
}

export interface StoredBatch extends BatchHead {
  readonly data: Uint8Array
}

type Row = Record<string, unknown>

interface WriteOptions {
  /** A call blocks for at most this time while another connection writes. */
  readonly busyMs?: number
  /** The size of the page cache. */
  readonly cacheKb?: number
}

interface StoreOptions extends WriteOptions {
  readonly readOnly?: boolean
  /** The version of Sluice that writes to the file, which the file then names. */
  readonly writtenBy?: string
}

const BUSY_MS = 1_000
const CACHE_KB = 16_384

function statements(db: DatabaseSync) {
  const p = (sql: string): StatementSync => db.prepare(sql)
  // The batch that holds an offset is the last one that begins at or below it.
  const fromOffset = `partition = ?1 AND base >= coalesce(
    (SELECT max(base) FROM log_batch WHERE partition = ?1 AND base <= ?2), 0)`
  return {
    topics: p('SELECT id, spec FROM log_topic'),
    partitions: p(
      'SELECT id, topic, partition, low, "end", cleaned FROM log_partition ORDER BY topic, partition',
    ),
    insertTopic: p('INSERT INTO log_topic (name, spec) VALUES (?, ?)'),
    setSpec: p('UPDATE log_topic SET spec = ? WHERE id = ?'),
    insertPartition: p(
      'INSERT INTO log_partition (topic, partition, low, "end", cleaned) VALUES (?, ?, 0, 0, 0)',
    ),
    throwAway: p('INSERT INTO log_garbage SELECT id FROM log_partition WHERE topic = ?'),
    deleteCommits: p(
      'DELETE FROM log_commit WHERE partition IN (SELECT id FROM log_partition WHERE topic = ?)',
    ),
    deletePartitions: p('DELETE FROM log_partition WHERE topic = ?'),
    deleteTopic: p('DELETE FROM log_topic WHERE id = ?'),
    setEnd: p('UPDATE log_partition SET "end" = ? WHERE id = ?'),
    setLow: p('UPDATE log_partition SET low = ? WHERE id = ?'),
    setCleaned: p('UPDATE log_partition SET cleaned = ? WHERE id = ?'),
    insertBatch: p('INSERT INTO log_batch (partition, base, last, at, size, data) VALUES (?, ?, ?, ?, ?, ?)'),
    rewriteBatch: p('UPDATE log_batch SET size = ?, data = ? WHERE partition = ? AND base = ?'),
    deleteBatch: p('DELETE FROM log_batch WHERE partition = ? AND base = ?'),
    heads: p(
      `SELECT base, last, at, size FROM log_batch WHERE ${fromOffset} AND base < ?3 ORDER BY base LIMIT ?4`,
    ),
    batches: p(`SELECT base, last, at, size, data FROM log_batch
      WHERE partition = ? AND base >= ? ORDER BY base LIMIT ?`),
    batchBefore: p(`SELECT base, last, at, size, data FROM log_batch
      WHERE partition = ? AND base < ? ORDER BY base DESC LIMIT 1`),
    bytesFrom: p('SELECT coalesce(sum(size), 0) AS bytes FROM log_batch WHERE partition = ? AND base >= ?'),
    bytesUntil: p(`SELECT coalesce(sum(size), 0) AS bytes FROM log_batch
      WHERE partition = ? AND base >= ? AND at <= ?`),
    purge: p(`DELETE FROM log_batch WHERE rowid IN (
      SELECT rowid FROM log_batch WHERE partition = ? AND base < ? AND last < ? LIMIT ?)`),
    garbage: p('SELECT partition FROM log_garbage'),
    forgetGarbage: p('DELETE FROM log_garbage WHERE partition = ?'),
    commit: p(`INSERT INTO log_commit (member_group, partition, next) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET next = excluded.next`),
    committed: p('SELECT next FROM log_commit WHERE member_group = ? AND partition = ?'),
  }
}

function numberOf(row: Row | undefined, column: string): number {
  const value = row?.[column]
  if (typeof value === 'number') return value
  throw new SluiceError('corrupt', `the log's file has ${typeof value} in ${column}, expected a number`)
}

function headOf(row: Row): BatchHead {
  return {
    base: numberOf(row, 'base'),
    last: numberOf(row, 'last'),
    at: numberOf(row, 'at'),
    size: numberOf(row, 'size'),
  }
}

function batchOf(row: Row): StoredBatch {
  const data = row['data']
  if (data instanceof Uint8Array) return { ...headOf(row), data }
  throw new SluiceError('corrupt', `the log's file has a batch without bytes`)
}

function openToWrite(file: string, { busyMs, cacheKb }: Required<WriteOptions>): DatabaseSync {
  // The process lock keeps out other processes, and `beforeWrite` other threads. So this connection waits
  // only for writes of the schema codec, which shares the file, and for tools that look at the file.
  const db = new DatabaseSync(file, { timeout: busyMs })
  try {
    db.exec(`
      PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
      PRAGMA cache_size = -${cacheKb}; PRAGMA journal_size_limit = 67108864;`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

interface Opened {
  readonly db: DatabaseSync
  readonly tidy: () => void
}

/**
 * Opens a file for reading. A file whose first writer was killed before it made the tables reads as empty.
 */
function openToRead(file: string): Opened {
  const { db, tidy } = openFileToRead(file)
  let isEmpty = true
  try {
    isEmpty = !hasTables(db)
  } finally {
    if (isEmpty) {
      db.close()
      tidy()
    }
  }
  if (!isEmpty) return { db, tidy }
  const empty = new DatabaseSync(':memory:')
  createTables(empty)
  return { db: empty, tidy: () => {} }
}

/** True if all tables exist. The format is written last. */
function hasTables(db: DatabaseSync): boolean {
  const table = db.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'log_format'`).get()
  return table !== undefined && db.prepare('SELECT version FROM log_format').get() !== undefined
}

/** Creates all tables or none, so that no reader finds some of them after a kill. */
function createTables(db: DatabaseSync): void {
  db.exec(`BEGIN IMMEDIATE; ${TABLES} INSERT INTO log_format (version) VALUES (${LOG_FORMAT}); COMMIT`)
}

export interface StoredFormat {
  readonly format: number
  /** The version of Sluice that opened the file last to write. Versions before 0.2.0 leave it as it is. */
  readonly writtenBy: string | null
}

function formatIn(db: DatabaseSync): StoredFormat {
  const row = db.prepare('SELECT * FROM log_format').get()
  const writtenBy = row?.['written_by']
  return { format: numberOf(row, 'version'), writtenBy: typeof writtenBy === 'string' ? writtenBy : null }
}

/** Notes the version of Sluice that writes to the file. Earlier versions read the file as before. */
function noteWriter(db: DatabaseSync, version: string): void {
  if (formatIn(db).writtenBy === version) return
  const columns = db.prepare('PRAGMA table_info(log_format)').all()
  const isKnown = columns.some(({ name }) => name === 'written_by')
  const add = isKnown ? '' : 'ALTER TABLE log_format ADD COLUMN written_by TEXT;'
  const text = `'${version.replaceAll("'", "''")}'`
  db.exec(`BEGIN IMMEDIATE; ${add} UPDATE log_format SET written_by = ${text}; COMMIT`)
}

/**
 * Reads the format of a log, also while a process works with the file. Null for a file without tables, which
 * a killed process leaves. Throws SQLite's own errors.
 */
export function readLogFormat(file: string): StoredFormat | null {
  const { db, tidy } = openFileToRead(file)
  try {
    return hasTables(db) ? formatIn(db) : null
  } finally {
    db.close()
    tidy()
  }
}

/**
 * Opens a file for reading and leaves no new files. By default, a reader of a file in WAL mode makes a
 * journal and an index beside the file, and leaves both there. A file without a journal is opened as
 * immutable, which needs neither. That is safe because the process lock keeps writers away. If a killed
 * process left a journal, the reader needs an index, and removes it at the end.
 */
export function openFileToRead(file: string): Opened {
  const journal = statSync(`${file}-wal`, { throwIfNoEntry: false })
  if (journal === undefined || journal.size === 0) {
    const url = pathToFileURL(file)
    url.searchParams.set('immutable', '1')
    return { db: new DatabaseSync(url, { readOnly: true }), tidy: () => {} }
  }
  const index = `${file}-shm`
  const hadIndex = existsSync(index)
  const tidy = (): void => {
    if (!hadIndex) rmSync(index, { force: true })
  }
  return { db: new DatabaseSync(file, { readOnly: true, timeout: 1000 }), tidy }
}

/**
 * A connection to the file. Throws SQLite's own errors, which callers translate, and SluiceError
 * `corrupt`, or `config` for another format.
 */
export class SqliteStore {
  /** Called before every write, to wait until no other thread writes. */
  beforeWrite: () => void = () => undefined
  readonly #db: DatabaseSync
  readonly #sql: ReturnType<typeof statements>
  /** Cleans up after closing a file that was opened read-only. For other files it does nothing. */
  readonly #tidy: () => void

  /**
   * With `readOnly`, the file has to exist. It stays the same, byte for byte, and no other file appears
   * beside it.
   */
  constructor(file: string, options: StoreOptions = {}) {
    const { readOnly = false, writtenBy, busyMs = BUSY_MS, cacheKb = CACHE_KB } = options
    const opened = readOnly
      ? openToRead(file)
      : { db: openToWrite(file, { busyMs, cacheKb }), tidy: () => {} }
    this.#db = opened.db
    this.#tidy = opened.tidy
    try {
      if (!readOnly && !hasTables(this.#db)) createTables(this.#db)
      this.#checkFormat(file)
      if (!readOnly && writtenBy !== undefined) noteWriter(this.#db, writtenBy)
      this.#sql = statements(this.#db)
    } catch (error) {
      this.close()
      throw error
    }
  }

  #checkFormat(file: string): void {
    const { format, writtenBy } = formatIn(this.#db)
    if (format === LOG_FORMAT) return
    const writer = writtenBy === null ? 'another version of Sluice' : `Sluice ${writtenBy}`
    throw new SluiceError(
      'config',
      `${file} has format ${format}, and this version of Sluice reads format ${LOG_FORMAT}. ${writer} has written it. Nothing was changed. Install that version again, or put back a backup that this version has made, with \`sluice restore\`.`,
    )
  }

  close(): void {
    this.#db.close()
    this.#tidy()
  }

  /** Runs `work` in one transaction, which is on disk when this returns. If `work` throws, it is undone. */
  transaction<T>(work: () => T): T {
    this.beforeWrite()
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.#db.exec('COMMIT')
      return result
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }

  topics(): StoredTopic[] {
    return this.#sql.topics.all().map(row => ({
      id: numberOf(row, 'id'),
      // Only this class writes the spec, and the format's version guards its shape.
      spec: JSON.parse(String(row['spec'])) as TopicSpec,
    }))
  }

  partitions(): StoredPartition[] {
    return this.#sql.partitions.all().map(row => ({
      id: numberOf(row, 'id'),
      topic: numberOf(row, 'topic'),
      partition: numberOf(row, 'partition'),
      low: numberOf(row, 'low'),
      end: numberOf(row, 'end'),
      cleaned: numberOf(row, 'cleaned'),
    }))
  }

  /** Returns the topic's id and its partitions' ids. */
  insertTopic(spec: TopicSpec): { id: number; partitions: number[] } {
    const id = Number(this.#sql.insertTopic.run(spec.topic, JSON.stringify(spec)).lastInsertRowid)
    const partitions: number[] = []
    for (let p = 0; p < spec.partitions; p += 1) {
      partitions.push(Number(this.#sql.insertPartition.run(id, p).lastInsertRowid))
    }
    return { id, partitions }
  }

  setSpec(topic: number, spec: TopicSpec): void {
    this.#sql.setSpec.run(JSON.stringify(spec), topic)
  }

  /**
   * Deletes the topic. Maintenance removes its records later, piece by piece; `garbage` lists their
   * partitions.
   */
  deleteTopic(topic: number): void {
    this.#sql.throwAway.run(topic)
    this.#sql.deleteCommits.run(topic)
    this.#sql.deletePartitions.run(topic)
    this.#sql.deleteTopic.run(topic)
  }

  setEnd(partition: number, end: number): void {
    this.#sql.setEnd.run(end, partition)
  }

  setLow(partition: number, low: number): void {
    this.#sql.setLow.run(low, partition)
  }

  setCleaned(partition: number, cleaned: number): void {
    this.#sql.setCleaned.run(cleaned, partition)
  }

  insertBatch(partition: number, batch: Omit<StoredBatch, 'size'>): void {
    const { base, last, at, data } = batch
    this.#sql.insertBatch.run(partition, base, last, at, data.length, data)
  }

  rewriteBatch(partition: number, base: number, data: Uint8Array): void {
    this.#sql.rewriteBatch.run(data.length, data, partition, base)
  }

  deleteBatch(partition: number, base: number): void {
    this.#sql.deleteBatch.run(partition, base)
  }

  /**
   * Returns the batches that begin below `to`. The first is the last batch that begins at or below `from`. It
   * may end below `from` if `from` lies in a gap.
   */
  heads(partition: number, range: { from: number; to: number; limit: number }): BatchHead[] {
    return this.#sql.heads.all(partition, range.from, range.to, range.limit).map(headOf)
  }

  /** Returns `limit` batches from the one that begins at `base`. */
  batches(partition: number, base: number, limit: number): StoredBatch[] {
    return this.#sql.batches.all(partition, base, limit).map(batchOf)
  }

  /** Returns the last batch that begins below the offset. */
  batchBefore(partition: number, before: number): StoredBatch | null {
    const row: Row | undefined = this.#sql.batchBefore.get(partition, before)
    return row === undefined ? null : batchOf(row)
  }

  bytesFrom(partition: number, base: number): number {
    return numberOf(this.#sql.bytesFrom.get(partition, base), 'bytes')
  }

  /** Returns the bytes of the batches from `base` on that were appended up to `at`. */
  bytesUntil(partition: number, range: { base: number; at: number }): number {
    return numberOf(this.#sql.bytesUntil.get(partition, range.base, range.at), 'bytes')
  }

  /** Removes up to `limit` batches that end below the offset. Returns how many it removed. */
  purge(partition: number, before: number, limit: number): number {
    return Number(this.#sql.purge.run(partition, before, before, limit).changes)
  }

  garbage(): number[] {
    return this.#sql.garbage.all().map(row => numberOf(row, 'partition'))
  }

  forgetGarbage(partition: number): void {
    this.beforeWrite()
    this.#sql.forgetGarbage.run(partition)
  }

  commit(group: string, partition: number, next: number): void {
    this.#sql.commit.run(group, partition, next)
  }

  committed(group: string, partition: number): number | null {
    const row: Row | undefined = this.#sql.committed.get(group, partition)
    return row === undefined ? null : numberOf(row, 'next')
  }
}
