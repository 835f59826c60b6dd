/**
 * A DuckDB instance for one query of a user. It holds nothing else and loads no extension. Its memory and
 * threads are limited, and its configuration is locked before it gets the user's SQL.
 */
import { interruptible } from '@sluice/flow/interruptible'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { quoteText } from './types.ts'

/** The layout of an extract's file: the rows of a row group, and the bytes of a block. */
export interface ExtractLayout {
  readonly groupRows: number
  readonly blockBytes: number
}

/**
 * Each thread fills a row group in memory before it writes it. With DuckDB's default of 122,880 rows, rows of
 * 10 KB would take 1.2 GB. This is the smallest size that DuckDB allows. Each column of a row group takes at
 * least a block. With DuckDB's default of 256 KB, 400 columns take 100 MB.
 */
const FOR_WIDE_ROWS: ExtractLayout = { groupRows: 2048, blockBytes: 16_384 }
/**
 * DuckDB keeps some 6 KB for each column of a row group, and more for each block, which its limit does not
 * count. With the layout for wide rows, five columns take 16 MB per million rows, and 20 million rows take
 * more than the process of a query may have.
 */
export const FOR_MANY_ROWS: ExtractLayout = { groupRows: 32_768, blockBytes: 262_144 }

/** The name of an extract in SQL. */
export const EXTRACT = 'sluice_extract'

/**
 * Attaches a new file for an extract. The file is empty until `closeExtract` has resolved. There is no
 * write-ahead log, so that DuckDB holds one copy less of the rows of a row group. That is half the memory for
 * rows of 1 MB.
 */
export async function attachExtract(
  connection: DuckDBConnection,
  file: string,
  { layout = FOR_WIDE_ROWS, name = EXTRACT } = {},
): Promise<void> {
  const { groupRows, blockBytes } = layout
  const options = `ROW_GROUP_SIZE ${groupRows}, BLOCK_SIZE ${blockBytes}, RECOVERY_MODE 'no_wal_writes'`
  // The extract is read once and then removed. Choosing a compression would take longer than reading it.
  await connection.run(
    `SET force_compression = 'uncompressed'; ATTACH ${quoteText(file)} AS ${name} (${options})`,
  )
}

/** Writes the extract to its file and detaches it. Rejects if a part of it could not be written. */
export async function closeExtract(connection: DuckDBConnection, name = EXTRACT): Promise<void> {
  // DETACH alone would ignore an error.
  await connection.run(`CHECKPOINT ${name}; DETACH ${name}`)
}

export interface SessionLimits {
  /** A size as DuckDB writes it: `512MB`. */
  readonly memoryLimit: string
  readonly threads: number
  readonly tempDirectory: string
  /** The bytes that DuckDB may write there. Its default is nine tenths of the free space. */
  readonly spillBytes?: number
}

/** States: open → closed. `run` must not be called concurrently. */
export class DuckdbSession implements AsyncDisposable {
  readonly #instance: DuckDBInstance
  readonly connection: DuckDBConnection

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance
    this.connection = connection
  }

  /** Opens an instance in memory. Relative file names start in `folder`. */
  static async open(folder: string, limits: SessionLimits): Promise<DuckdbSession> {
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: limits.memoryLimit,
      threads: String(limits.threads),
      temp_directory: limits.tempDirectory,
      file_search_path: folder,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      allow_community_extensions: 'false',
      preserve_insertion_order: 'true',
      // DuckDB gives freed memory back to the system at once. By default it gathers 128 MB first.
      allocator_flush_threshold: '8MB',
      allocator_bulk_deallocation_flush_threshold: '16MB',
    })
    try {
      const connection = await instance.connect()
      await connection.run("SET TimeZone = 'UTC'")
      // DuckDB ignores this limit if the instance is made with it.
      if (limits.spillBytes !== undefined)
        await connection.run(`SET max_temp_directory_size = '${limits.spillBytes}B'`)
      return new DuckdbSession(instance, connection)
    } catch (error) {
      instance.closeSync()
      throw error
    }
  }

  /** Opens another connection, which has the limits of the instance. The caller closes it. */
  async connect(): Promise<DuckDBConnection> {
    return await this.#instance.connect()
  }

  /**
   * From here on, the instance can only open files in these folders, the attached databases, and its own
   * temporary files. It follows no links out of the folders, and its settings are locked.
   */
  async closeOff(folders: readonly string[]): Promise<void> {
    await this.connection.run(`SET allowed_directories = [${folders.map(quoteText).join(', ')}]`)
    await this.connection.run('SET enable_external_access = false')
    await this.connection.run('SET lock_configuration = true')
  }

  /**
   * Waits for work on this session's connection. When the signal aborts, this interrupts the work, and
   * rejects with the signal's reason once DuckDB has stopped.
   */
  async interruptible<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    return await interruptible(this.connection, signal, work)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.connection.closeSync()
    this.#instance.closeSync()
    return Promise.resolve()
  }
}
