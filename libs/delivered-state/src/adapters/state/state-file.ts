/**
 * The DuckDB file of a sync's delivered state: its tables, and the check whether an existing file can be
 * trusted. A file is thrown away if it is damaged, or of another format, sync, incarnation or number of
 * partitions. The topics have all its data.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { saysDiskFailed } from '@sluice/domain/disk-failure'
import { VECTOR_ROWS } from '../diff/row-slices.ts'
import { quoteText } from '../sql/sql-types.ts'
import { ENTRY_COLUMNS, STATE_COLUMNS } from './stored-rows.ts'
import { rowsOf } from '../sql/rows-of.ts'

/** The version of the tables and of the codes in them. */
export const STATE_FORMAT = '9'

export interface StateFileOptions {
  readonly file: string
  readonly sync: string
  readonly incarnation: string
  readonly partitions: number
  /** The limit of memory, as DuckDB writes sizes. */
  readonly memoryLimit: string
  readonly threads: number
  /** The instance that states share. Absent: the state opens one of its own. */
  readonly shared?: SharedInstance | undefined
}

/**
 * The smallest block size that DuckDB allows. DuckDB fills a row group in memory before it writes it. With
 * the default size, rows of 10 KB would take 1.2 GB. A file of another block size is not opened, and is made
 * again.
 *
 * A write-ahead log would have each wide row in memory once more. Without one, the file has exactly the state
 * of the last checkpoint: positions and rows always belong to one moment.
 */
const STORAGE = `BLOCK_SIZE 16384, RECOVERY_MODE 'no_wal_writes'`

/** An open state file. */
export interface StateFile {
  readonly connection: DuckDBConnection
  /** Writes all committed data to the file. */
  checkpoint(): Promise<void>
  /**
   * Attaches the file again, with another size of row groups. After that, DuckDB can read a few rows alone.
   * Before, it reads 2,048 rows at once if it has written them since the file was attached. No statement may
   * be prepared, and no transaction may be open.
   */
  attachAgain(groupRows: number): Promise<void>
  close(): Promise<void>
}

/** The columns of each table, in SQL. `size` is the bytes of the content, NULL without content. */
const TABLES = {
  meta: 'name VARCHAR, value VARCHAR',
  positions:
    'number USMALLINT, changes BIGINT, retry BIGINT, captured BIGINT, last_offset BIGINT, last_run BIGINT, last_seq BIGINT',
  shapes: 'id USMALLINT, columns VARCHAR',
  stored: STATE_COLUMNS,
  dead: 'rid BIGINT',
  entries: ENTRY_COLUMNS,
  doubts: ENTRY_COLUMNS,
  captured: 'partition USMALLINT, key VARCHAR, content VARCHAR',
  gone: 'partition USMALLINT, key VARCHAR, since BIGINT',
}

/**
 * The views: the rows of the state that count (stored-rows.ts), and the retry entries that count. If the
 * outcome of a change is unknown, since a run lost track of it, its entry in the topic does not count.
 */
const VIEWS = {
  state: 'SELECT rowid AS srid, * FROM stored ANTI JOIN dead ON dead.rid = stored.rowid',
  retry:
    'FROM doubts UNION ALL SELECT e.* FROM entries e ANTI JOIN doubts d ON d.key = e.key AND d.partition = e.partition',
}

/**
 * Opens the file, or makes a new file in its place. In the second case, `reason` says why the existing file
 * is not used. It is null if no file existed.
 */
export async function openStateFile(
  options: StateFileOptions,
): Promise<{ readonly file: StateFile; readonly fresh: boolean; readonly reason: string | null }> {
  const existed = existsSync(options.file)
  mkdirSync(dirname(options.file), { recursive: true })
  if (!existed) {
    // A write-ahead log without its file belongs to nothing.
    await removeStateFile(options.file)
    return { file: await createStateFile(options), fresh: true, reason: null }
  }
  const found = await tryOpen(options)
  if (typeof found !== 'string') return { file: found, fresh: false, reason: null }
  await removeStateFile(options.file)
  return { file: await createStateFile(options), fresh: true, reason: found }
}

/** Makes a new, empty file. */
export async function createStateFile(options: StateFileOptions): Promise<StateFile> {
  try {
    return await createTables(options)
  } catch (error) {
    throw diskErrorOf(error, options.file) ?? error
  }
}

async function createTables(options: StateFileOptions): Promise<StateFile> {
  const file = await connect(options)
  try {
    const tables = Object.entries(TABLES).map(([name, columns]) => `CREATE TABLE ${name} (${columns});`)
    const views = Object.entries(VIEWS).map(([name, sql]) => `CREATE VIEW ${name} AS ${sql};`)
    const meta = Object.entries(identityOf(options)).map(
      ([name, value]) => `(${quoteText(name)}, ${quoteText(value)})`,
    )
    const positions = Array.from(
      { length: options.partitions },
      (_, p) => `(${p}, 0, 0, 0, NULL, NULL, NULL)`,
    )
    await file.connection.run(
      `BEGIN; ${tables.join(' ')} ${views.join(' ')} INSERT INTO meta VALUES ${meta.join(', ')};
       INSERT INTO positions VALUES ${positions.join(', ')}; COMMIT`,
    )
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

export async function removeStateFile(file: string): Promise<void> {
  for (const path of [file, `${file}.wal`, `${file}.tmp`]) await removeIfThere(path)
}

/** Mostly there is nothing to remove, and finding that out by `rm` takes much longer. */
async function removeIfThere(path: string): Promise<void> {
  if (existsSync(path)) await rm(path, { recursive: true, force: true })
}

/** Returns the metadata that must be equal for a file to be trusted. */
function identityOf(options: StateFileOptions): { readonly [name: string]: string } {
  return {
    format: STATE_FORMAT,
    sync: options.sync,
    incarnation: options.incarnation,
    partitions: String(options.partitions),
  }
}

/** Returns the open file, or why it cannot be trusted. Throws `conflict` if another process has it open. */
async function tryOpen(options: StateFileOptions): Promise<StateFile | string> {
  let file: StateFile
  try {
    file = await connect(options)
  } catch (error) {
    if (isSluiceError(error)) throw error
    // A full disk is no reason to distrust the file.
    const diskError = diskErrorOf(error, options.file)
    if (diskError !== null) throw diskError
    const message = messageOf(error)
    if (/could not set lock|conflicting lock/i.test(message))
      throw new SluiceError('conflict', `Another process has the delivered state ${options.file} open.`, {
        cause: error,
        retryable: true,
      })
    return `it cannot be opened: ${firstLine(message)}`
  }
  try {
    const mismatch = await mismatchOf(file.connection, options)
    if (mismatch === null) return file
    await file.close()
    return mismatch
  } catch (error) {
    await file.close()
    const diskError = diskErrorOf(error, options.file)
    if (diskError !== null) throw diskError
    return `it cannot be read: ${firstLine(messageOf(error))}`
  }
}

async function mismatchOf(connection: DuckDBConnection, options: StateFileOptions): Promise<string | null> {
  const result = await rowsOf(connection, 'SELECT name, value FROM meta')
  const meta = new Map(result.map(([name, value]) => [String(name), String(value)]))
  for (const [name, wanted] of Object.entries(identityOf(options))) {
    const found = meta.get(name)
    if (found === wanted) continue
    if (name === 'format') return 'another version of Sluice made it'
    return `its ${name} is ${found ?? 'unknown'} instead of ${wanted}`
  }
  const counted = await rowsOf(connection, 'SELECT count(*), min(number), max(number) FROM positions')
  const [count, low, high] = counted[0] ?? []
  if (Number(count) !== options.partitions || Number(low) !== 0 || Number(high) !== options.partitions - 1)
    return 'its positions do not match its partitions'
  if ((await columnsOf(connection)) !== Object.values(TABLES).join(', '))
    return 'its tables have other columns'
  // This reads the columns that every diff reads, so that a damaged block shows now.
  await connection.run(
    'SELECT count(key), max(kind), max(hash), max(shape), max(partition), max(run), max(seq), (SELECT count(rid) FROM dead) FROM stored',
  )
  return null
}

/**
 * Returns the columns of all tables, as in `TABLES`. One query is much faster than DuckDB's list of columns.
 */
async function columnsOf(connection: DuckDBConnection): Promise<string> {
  const tables = Object.keys(TABLES).map(table => `main.${table}`)
  const result = await connection.run(`FROM ${tables.join(', ')} LIMIT 0`)
  const types = result.columnTypes()
  return result
    .columnNames()
    .map((name, index) => `${name} ${String(types[index])}`)
    .join(', ')
}

/**
 * Reads the format of a file, and changes nothing. Null if the file cannot be opened or read: another process
 * has it, it is damaged, or a later version of DuckDB wrote it.
 */
export async function readStateFormat(file: string): Promise<string | null> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  try {
    const connection = await instance.connect()
    await connection.run(`ATTACH ${quoteText(file)} AS sluice_state (TYPE duckdb, READ_ONLY)`)
    const sql = "SELECT value FROM sluice_state.meta WHERE name = 'format'"
    const [row] = await rowsOf(connection, sql)
    connection.closeSync()
    return row === undefined ? null : String(row[0])
  } catch {
    return null
  } finally {
    instance.closeSync()
  }
}

/** The files that this process has open, since DuckDB's lock keeps out other processes only. */
const openFiles = new Set<string>()

async function connect(options: StateFileOptions): Promise<StateFile> {
  const path = resolve(options.file)
  if (openFiles.has(path)) throw new SluiceError('conflict', `The delivered state ${path} is open already.`)
  openFiles.add(path)
  try {
    return await connectAlone(options, () => openFiles.delete(path))
  } catch (error) {
    openFiles.delete(path)
    throw error
  }
}

/**
 * A DuckDB instance that small states use one after the other, because opening an instance takes longer than
 * the work on a few rows. The first state sets its limits of memory and threads. States that are open at the
 * same time have instances of their own.
 *
 * States: free ⇄ lent; closed.
 */
export class SharedInstance implements AsyncDisposable {
  #free: DuckDBInstance | null = null
  #isClosed = false

  /** Returns the free instance, which is lent from then on; null if there is none. */
  take(): DuckDBInstance | null {
    const taken = this.#free
    this.#free = null
    return taken
  }

  /**
   * Takes an instance with nothing attached. Closes it if another one is free, or nobody needs it any more.
   */
  giveBack(instance: DuckDBInstance): void {
    if (this.#isClosed || this.#free !== null) instance.closeSync()
    else this.#free = instance
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.take()?.closeSync()
    return Promise.resolve()
  }
}

async function connectAlone(options: StateFileOptions, onClosed: () => void): Promise<StateFile> {
  const instance = options.shared?.take() ?? (await createInstance(options))
  try {
    const connection = await instance.connect()
    const attach = async (groupRows: number): Promise<void> => {
      const storage = `TYPE duckdb, ROW_GROUP_SIZE ${groupRows}, ${STORAGE}`
      // The file is attached, so that its name in SQL is ours, and does not depend on the file's.
      await connection.run(
        `SET TimeZone = 'UTC'; ATTACH ${quoteText(options.file)} AS sluice_state (${storage}); USE sluice_state`,
      )
    }
    await attach(VECTOR_ROWS)
    return {
      connection,
      checkpoint: async () => void (await connection.run('CHECKPOINT sluice_state')),
      attachAgain: async groupRows => {
        await connection.run('USE memory; DETACH sluice_state')
        await attach(groupRows)
      },
      close: () => close(instance, connection, options).finally(onClosed),
    }
  } catch (error) {
    instance.closeSync()
    throw error
  }
}

function createInstance(options: StateFileOptions): Promise<DuckDBInstance> {
  return DuckDBInstance.create(':memory:', {
    memory_limit: options.memoryLimit,
    threads: String(options.threads),
    temp_directory: `${options.file}.tmp`,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    preserve_insertion_order: 'true',
    // DuckDB gives freed memory back to the system soon, and not only once it has 128 MB of it.
    allocator_flush_threshold: '8MB',
    allocator_bulk_deallocation_flush_threshold: '16MB',
  })
}

async function close(
  instance: DuckDBInstance,
  connection: DuckDBConnection,
  { file, shared }: StateFileOptions,
): Promise<void> {
  // A checkpoint writes committed data on another thread, and closing would do so on the main thread. If it
  // fails, the next process has more to read from the topics.
  const detach = shared === undefined ? '' : '; USE memory; DETACH sluice_state'
  const isWhole = await connection.run(`CHECKPOINT sluice_state${detach}`).then(
    () => true,
    () => false,
  )
  connection.closeSync()
  if (shared !== undefined && isWhole) shared.giveBack(instance)
  else instance.closeSync()
  await removeIfThere(`${file}.tmp`)
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? text
}

/**
 * Returns the SluiceError for an error of DuckDB. If DuckDB had too little memory, the message names the
 * setting that gives it more.
 */
export function asStateError(error: unknown, file: string): unknown {
  if (isSluiceError(error)) return error
  const diskError = diskErrorOf(error, file)
  if (diskError !== null) return diskError
  const message = messageOf(error)
  // A checkpoint that lacks memory invalidates the open database, and not the file.
  if (/out of memory|failed to (pin|allocate)|could not allocate/i.test(message))
    return new SluiceError(
      'internal',
      `The delivered state ${file} needs more memory than its share: set SLUICE_MEMORY higher, or let the model select fewer or shorter columns. ${message}`,
      { cause: error },
    )
  if (/checksum|corrupt|serializ|database has been invalidated|INTERNAL Error|FATAL Error/i.test(message))
    return new SluiceError('corrupt', `The delivered state ${file} cannot be trusted: ${message}`, {
      cause: error,
    })
  return new SluiceError('internal', `The delivered state ${file} fails: ${message}`, { cause: error })
}

/**
 * Returns a `disk` error if the state's file could not be written; null for anything else. After such a
 * failure DuckDB calls the database invalid, though nothing in its file is.
 */
function diskErrorOf(error: unknown, file: string): SluiceError | null {
  const text = messageOf(error)
  if (!saysDiskFailed(text)) return null
  const message =
    `The delivered state ${file} cannot be written: ${text.split('\n')[0] ?? text}. ` +
    'Make room on that disk; it is a cache, and nothing was lost.'
  return new SluiceError('disk', message, { cause: error })
}
