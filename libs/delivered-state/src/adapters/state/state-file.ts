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

/** Counts up whenever the tables or the codes in them change their meaning. */
const FORMAT = '8'

export interface StateFileOptions {
  readonly file: string
  readonly sync: string
  readonly incarnation: string
  readonly partitions: number
  /** As DuckDB writes sizes. */
  readonly memoryLimit: string
  readonly threads: number
}

/**
 * DuckDB fills a row group in memory before it writes it. With its default size, rows of 10 KB would take 1.2
 * GB. This is the smallest size that DuckDB allows. A file of another block size is not opened, and is made
 * again.
 *
 * A write-ahead log would hold each wide row once more in memory. Without one, the file has what was
 * committed by the last checkpoint, and none of what came later: positions and rows are always those of one
 * moment.
 */
const STORAGE = `BLOCK_SIZE 16384, RECOVERY_MODE 'no_wal_writes'`

/** An open state file. */
export interface StateFile {
  readonly connection: DuckDBConnection
  /** Writes all that is committed to the file. */
  checkpoint(): Promise<void>
  /**
   * Attaches the file again. From then on DuckDB reads a few rows where a few are wanted; of rows that it
   * wrote itself it reads 2,048. Row groups that are written from then on have so many rows. Nothing may be
   * prepared, and no transaction be open.
   */
  attachAgain(groupRows: number): Promise<void>
  close(): Promise<void>
}

/** The columns of each table, in SQL. The size of a state is that of its content in bytes, NULL of none. */
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
 * What the tables say: the rows of the state that count, by the id of each (stored-rows.ts), and the retry
 * entries that count. An entry of the topic counts for nothing where its change is in doubt, whatever it
 * says.
 */
const VIEWS = {
  state: 'SELECT rowid AS srid, * FROM stored ANTI JOIN dead ON dead.rid = stored.rowid',
  retry:
    'FROM doubts UNION ALL SELECT e.* FROM entries e ANTI JOIN doubts d ON d.key = e.key AND d.partition = e.partition',
}

/**
 * Opens the file, or a new one in its place. Then `reason` says why the existing file is not used. It is null
 * if there was none.
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
  await Promise.all(
    [file, `${file}.wal`, `${file}.tmp`].map(path => rm(path, { recursive: true, force: true })),
  )
}

/** What must be equal for a file to be trusted. */
function identityOf(options: StateFileOptions): { readonly [name: string]: string } {
  return {
    format: FORMAT,
    sync: options.sync,
    incarnation: options.incarnation,
    partitions: String(options.partitions),
  }
}

/** The open file, or why it cannot be trusted. Throws `conflict` if another process has it open. */
async function tryOpen(options: StateFileOptions): Promise<StateFile | string> {
  let file: StateFile
  try {
    file = await connect(options)
  } catch (error) {
    if (isSluiceError(error)) throw error
    // A full disk says nothing against the file.
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
  const reader = await connection.runAndReadAll('SELECT name, value FROM meta')
  const meta = new Map(reader.getRows().map(([name, value]) => [String(name), String(value)]))
  for (const [name, wanted] of Object.entries(identityOf(options))) {
    const found = meta.get(name)
    if (found !== wanted) return `its ${name} is ${found ?? 'unknown'}, wanted is ${wanted}`
  }
  const counted = await connection.runAndReadAll('SELECT count(*), min(number), max(number) FROM positions')
  const [count, low, high] = counted.getRows()[0] ?? []
  if (Number(count) !== options.partitions || Number(low) !== 0 || Number(high) !== options.partitions - 1)
    return 'its positions do not match its partitions'
  if ((await columnsOf(connection)) !== Object.values(TABLES).join(', '))
    return 'its tables have other columns'
  // Reads what every diff reads, so that a damaged block shows now.
  await connection.run(
    'SELECT count(key), max(kind), max(hash), max(shape), max(partition), max(run), max(seq), (SELECT count(rid) FROM dead) FROM stored',
  )
  return null
}

/**
 * Of all tables, as in `TABLES`. The result of one query tells it; DuckDB's list of all columns takes much
 * longer.
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

/** Files that this process has open: the lock that DuckDB takes keeps out other processes only. */
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

async function connectAlone(options: StateFileOptions, onClosed: () => void): Promise<StateFile> {
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: options.memoryLimit,
    threads: String(options.threads),
    temp_directory: `${options.file}.tmp`,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    preserve_insertion_order: 'true',
    // Memory that DuckDB has freed goes back to the system at once, not when 128 MB have come together.
    allocator_flush_threshold: '8MB',
    allocator_bulk_deallocation_flush_threshold: '16MB',
  })
  try {
    const connection = await instance.connect()
    await connection.run("SET TimeZone = 'UTC'")
    const attach = async (groupRows: number): Promise<void> => {
      const storage = `TYPE duckdb, ROW_GROUP_SIZE ${groupRows}, ${STORAGE}`
      // Attached, so that its name in SQL is ours and not made of the file's.
      await connection.run(`ATTACH ${quoteText(options.file)} AS sluice_state (${storage})`)
      await connection.run('USE sluice_state')
    }
    await attach(VECTOR_ROWS)
    return {
      connection,
      checkpoint: async () => void (await connection.run('CHECKPOINT sluice_state')),
      attachAgain: async groupRows => {
        await connection.run('USE memory; DETACH sluice_state')
        await attach(groupRows)
      },
      close: () => close(instance, connection, options.file).finally(onClosed),
    }
  } catch (error) {
    instance.closeSync()
    throw error
  }
}

async function close(instance: DuckDBInstance, connection: DuckDBConnection, file: string): Promise<void> {
  // Closing writes what is committed into the file, on the main thread; a checkpoint before does so
  // elsewhere. If it fails, the next process has more to read from the topics.
  await connection.run('CHECKPOINT sluice_state').catch(() => {})
  connection.closeSync()
  instance.closeSync()
  await rm(`${file}.tmp`, { recursive: true, force: true })
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
 * A `disk` error where the state's file could not be written; null for anything else. A database that has
 * failed so calls itself invalid afterwards, though nothing in its file is.
 */
function diskErrorOf(error: unknown, file: string): SluiceError | null {
  const text = messageOf(error)
  if (!saysDiskFailed(text)) return null
  const message =
    `The delivered state ${file} cannot be written: ${text.split('\n')[0] ?? text}. ` +
    'Make room on that disk; it is a cache, and nothing was lost.'
  return new SluiceError('disk', message, { cause: error })
}
