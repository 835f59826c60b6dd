/**
 * Sets DuckDB's limit of memory for each step of the work. DuckDB fills all memory up to its limit with data
 * that it has read, needed or not. It reads 2,048 rows at once, so wide rows get a higher limit.
 */
import { statSync } from 'node:fs'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Column } from '@sluice/contracts/values'
import type { DiffRequest } from '../../port.ts'
import { hidesRowIds } from '../diff/find-changes.ts'
import { groupsOf } from '../diff/row-hash.ts'
import {
  extractSlices,
  SLICE_BYTES,
  type Slice,
  type SlicedRows,
  tableSlices,
  VECTOR_ROWS,
} from '../diff/row-slices.ts'
import { rowsOf } from '../sql/rows-of.ts'

/** With more columns than this, two threads would work on too many values at once. */
const MANY_COLUMNS = 100
/** Each further column raises the limit by this much, since DuckDB has 2,048 values of it in memory. */
const COLUMN_BYTES = 100_000
/** Rows of this size and more are worked on by one thread, since each thread takes 2,048 rows. */
const WIDE_ROW_BYTES = 2000
/** Rows of fewer bytes on average count as narrow, without a look at each. */
const LOOKED_AT_BYTES = 500
/**
 * All rows of such an extract make a single slice, however large each of them is: the file is not compressed.
 * A few rows of so few bytes, in extract and state, need no setting of memory and threads: each costs more
 * time than all work on such rows, and there is nothing to give back.
 */
const SMALL_BYTES = 1_000_000
/** The threads of a diff. Nothing else of the run is at work between the export and the first change. */
const DIFF_THREADS = 2
/** The share of memory that DuckDB keeps while changes are published, when other stages are at work. */
const PUBLISHING_SHARE = 0.5
/** The memory that DuckDB needs beside wide rows, to hash them as JSON and to join some of them. */
const HASHING_BYTES = 128_000_000
const JOINING_BYTES = 64_000_000
/** Keys and hashes of up to this many rows need less than the usual memory. */
const FEW_ROWS = 200_000
/**
 * A join needs this much memory, and for each key that it compares a part of what it has in temporary files:
 * measured with keys of 8 and of 64 bytes.
 */
const JOIN_BYTES = 16_000_000
const JOINED_KEY_BYTES = 10
const JOINED_TOKEN_SHARE = 0.25
/** The limit while wide rows are staged. With a higher one, DuckDB would only keep more of them in memory. */
const STAGING_BYTES = 96_000_000
/** The memory that DuckDB may keep between two pieces of work. */
const IDLE_BYTES = 32_000_000

export function comparedColumns({ columns, compare }: DiffRequest): readonly Column[] {
  return columns.filter(({ name }) => compare.includes(name))
}

/** The rows of a diff. */
export interface MeasuredRows {
  /** The number of rows in the extract. */
  readonly rows: number
  /** The slices in which the model's rows are read. Null for narrow rows, which need none. */
  readonly slices: readonly Slice[] | null
  /** The slices of the stored rows. */
  readonly stored: readonly Slice[]
  /** True if extract and state have a few rows of few bytes. */
  readonly isSmall: boolean
}

/** The limit of a state's connection. One caller at a time. */
export class StateMemory {
  readonly #connection: DuckDBConnection
  readonly #file: string
  readonly #usualBytes: number
  readonly #threads: number
  readonly #joinedKeys: number | undefined
  /** Bytes of rows that DuckDB reads at once. */
  #readBytes = 0
  /**
   * The limit that is set. DuckDB also gives memory back to the system with each change, which takes time.
   */
  #setBytes: number
  /**
   * The number of wide rows in the diff. The diff works on few of them at once. If there are few in all, it
   * needs little memory.
   */
  #wide: 'none' | 'few' | 'many' = 'none'
  /** True if all work since memory was last given back was on a few rows of few bytes. */
  #isSmall: boolean
  #hasMoreThreads = false
  /** The rows of the diff's model, or of the state if these are more. */
  #keys = 0

  constructor(
    connection: DuckDBConnection,
    {
      file,
      memoryLimit,
      threads,
      joinedKeys,
    }: {
      readonly file: string
      readonly memoryLimit: string
      readonly threads: number
      readonly joinedKeys?: number | undefined
    },
  ) {
    this.#connection = connection
    this.#file = file
    // Opening a file reads a part of each of its rows.
    this.#isSmall = this.#areFew(0, 0)
    this.#usualBytes = Number.parseInt(memoryLimit, 10) * 1_000_000
    this.#setBytes = this.#usualBytes
    this.#threads = threads
    this.#joinedKeys = joinedKeys
  }

  /**
   * Sets limit and threads for a diff, whose extract is attached. Rows of many columns or bytes get the usual
   * threads, and as much memory as they need. The caller calls `usualThreads` after the diff.
   */
  async ofDiff(request: DiffRequest): Promise<MeasuredRows> {
    const { columns, extractFile, primaryKey } = request
    const connection = this.#connection
    const more = Math.max(0, columns.length - MANY_COLUMNS) * COLUMN_BYTES
    if (more > 0) await this.#limit(this.#usualBytes + more)
    const counted = await rowsOf(
      connection,
      'SELECT (SELECT count(*) FROM extract.main.rows), (SELECT count(*) FROM stored)',
    )
    const [rows = 0, known = 0] = (counted[0] ?? []).map(Number)
    this.#keys = Math.max(rows, known)
    const { size: fileBytes } = statSync(extractFile)
    const rowBytes = fileBytes / Math.max(1, rows)
    const isMany = groupsOf(columns).length > 1
    const none: SlicedRows = { slices: [], readBytes: 0 }
    const extracted =
      (rowBytes > LOOKED_AT_BYTES && fileBytes > SMALL_BYTES) || isMany
        ? await extractSlices(connection, primaryKey[0] ?? '')
        : none
    const stored = await tableSlices(connection, { table: 'stored', size: 'size' })
    const inFew = more === 0 && rows <= VECTOR_ROWS && fileBytes <= SMALL_BYTES
    const isSmall = inFew && this.#areFew(stored.slices.at(-1)?.to ?? 0, stored.readBytes)
    this.#isSmall &&= isSmall
    if (!isSmall && more === 0 && rowBytes <= WIDE_ROW_BYTES) await this.#moreThreads()
    // From a file, such as extract and state, DuckDB reads a few rows if a few are wanted. A copy is no file.
    this.#readBytes = hidesRowIds(columns) ? extracted.readBytes : 0
    const most = Math.max(stored.readBytes, extracted.readBytes)
    const isNarrow = isMany || this.#readBytes > 0 || most <= SLICE_BYTES
    this.#wide = isNarrow ? 'none' : rows <= FEW_ROWS ? 'few' : 'many'
    const share = this.#wide === 'few' ? PUBLISHING_SHARE : 1
    if (!isSmall) await this.#limit(this.#enough(share, HASHING_BYTES) + more)
    const slices = extracted.slices.length > 1 || isMany ? extracted.slices : null
    return { rows, slices, stored: stored.slices, isSmall }
  }

  /** Sets the threads that the state has outside of a diff. */
  async usualThreads(): Promise<void> {
    if (!this.#hasMoreThreads) return
    this.#hasMoreThreads = false
    // If a full disk has ended the database, setting threads fails, too. Only the first error counts.
    await this.#connection.run(`SET threads = ${this.#threads}`).catch(() => undefined)
  }

  /**
   * Returns the number of parts in which the keys of a diff are compared. `tokenBytes` is the mean length of
   * a token.
   */
  partsFor(tokenBytes: number): number {
    const bytes = JOINED_KEY_BYTES + tokenBytes * JOINED_TOKEN_SHARE
    const atOnce = this.#joinedKeys ?? Math.max(1, (this.#usualBytes - JOIN_BYTES) / bytes)
    return Math.max(1, Math.ceil(this.#keys / atOnce))
  }

  /** Sets the limit for staging wide changes. */
  async whileStagingWide(): Promise<void> {
    this.#isSmall = false
    await this.#limit(Math.min(this.#usualBytes, STAGING_BYTES))
  }

  /**
   * Sets the limit for a merge, which reads `bytes` of rows at once and leaves `rows` in the state. `staged`
   * is about the bytes of the records that are merged.
   */
  async toMerge({
    bytes,
    rows,
    staged,
  }: {
    readonly bytes: number
    readonly rows: number
    readonly staged: number
  }): Promise<void> {
    this.#isSmall &&= staged <= SMALL_BYTES && this.#areFew(rows, bytes)
    this.#readBytes = bytes
    this.#wide = 'none'
    await this.#limit(this.#enough(1, JOINING_BYTES))
  }

  /** Sets the limit for the rest of the diff. */
  async whilePublishing(): Promise<void> {
    if (this.#isSmall) return
    const least = Math.min(this.#usualBytes, JOINING_BYTES)
    await this.#limit(Math.max(least, this.#enough(PUBLISHING_SHARE, JOINING_BYTES)))
  }

  /** Frees memory between two pieces of work, for an export, or for the state of another sync. */
  async letGo(): Promise<void> {
    if (this.#isSmall) return
    this.#isSmall = true
    await this.#limit(IDLE_BYTES)
    await this.#connection.run(`SET memory_limit = '${this.#usualBytes}B'`)
    this.#setBytes = this.#usualBytes
  }

  /** True if these are few rows of few bytes, and the file has little else. */
  #areFew(rows: number, bytes: number): boolean {
    if (rows > VECTOR_ROWS || bytes > SMALL_BYTES) return false
    const file = statSync(this.#file, { throwIfNoEntry: false })
    return file !== undefined && file.size <= SMALL_BYTES
  }

  async #moreThreads(): Promise<void> {
    if (this.#threads >= DIFF_THREADS) return
    this.#hasMoreThreads = true
    await this.#connection.run(`SET threads = ${DIFF_THREADS}`)
  }

  /** Returns a share of the usual limit, or more if wide rows and the work on them need more. */
  #enough(share: number, workBytes: number): number {
    const isWide = this.#readBytes > SLICE_BYTES || this.#wide !== 'none'
    return Math.max(this.#usualBytes * share, isWide ? Math.max(this.#readBytes, SLICE_BYTES) + workBytes : 0)
  }

  async #limit(bytes: number): Promise<void> {
    const wanted = Math.floor(bytes)
    if (wanted === this.#setBytes) return
    const set = this.#connection.run(`SET memory_limit = '${wanted}B'`)
    // DuckDB rejects a limit below the memory in use, and then keeps the old one.
    await set.then(() => (this.#setBytes = wanted)).catch(() => undefined)
  }
}
