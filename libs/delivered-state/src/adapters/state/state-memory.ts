/**
 * What DuckDB may have of the process's memory, step by step: it fills what it may have with what it has
 * read, needed or not. Rows of which 2,048 do not fit are given more, for it reads so many at once.
 */
import { statSync } from 'node:fs'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Column } from '@sluice/contracts/values'
import type { DiffRequest } from '../../port.ts'
import { hidesRowIds } from '../diff/find-changes.ts'
import { groupsOf } from '../diff/row-hash.ts'
import { extractSlices, SLICE_BYTES, type Slice, type SlicedRows, tableSlices } from '../diff/row-slices.ts'

/** Of so many columns, what two threads have in work is too much. */
const MANY_COLUMNS = 100
/** What each further column gets beside the limit: DuckDB holds 2,048 values of it. */
const COLUMN_BYTES = 100_000
/** Of rows from this size on one thread has enough in work, since DuckDB works on 2,048 rows at once. */
const WIDE_ROW_BYTES = 2000
/** Rows of fewer bytes on average are taken for narrow without a look at each. */
const LOOKED_AT_BYTES = 500
/** What DuckDB keeps while changes are published: the other stages are at work then. */
const PUBLISHING_SHARE = 0.5
/** What DuckDB needs beside the wide rows that it reads: to hash them as JSON, and to join some of them. */
const HASHING_BYTES = 128_000_000
const JOINING_BYTES = 64_000_000
/** More keys and hashes than of so many rows may want the usual memory. */
const FEW_ROWS = 200_000
/** Wide rows are staged with this much. With more, DuckDB would only keep more of them in memory. */
const STAGING_BYTES = 96_000_000
/** What DuckDB may keep in memory between two pieces of work. */
const IDLE_BYTES = 32_000_000

export function comparedColumns({ columns, compare }: DiffRequest): readonly Column[] {
  return columns.filter(({ name }) => compare.includes(name))
}

/** The limit of a state's connection. One caller at a time. */
export class StateMemory {
  readonly #connection: DuckDBConnection
  readonly #usualBytes: number
  readonly #threads: number
  /** Bytes of rows that DuckDB reads at once. */
  #readBytes = 0
  /**
   * The diff has wide rows, and works on few of them at once. With few rows in all, it needs no more than
   * that.
   */
  #wide: 'none' | 'few' | 'many' = 'none'

  constructor(
    connection: DuckDBConnection,
    { memoryLimit, threads }: { readonly memoryLimit: string; readonly threads: number },
  ) {
    this.#connection = connection
    this.#usualBytes = Number.parseInt(memoryLimit, 10) * 1_000_000
    this.#threads = threads
  }

  /**
   * Rows of many columns or bytes are worked on by one thread, and get what they take until the diff ends.
   * Gives the stretches in which the model's rows are looked at; null for narrow rows, which need none. The
   * extract is attached.
   */
  async ofDiff(request: DiffRequest): Promise<readonly Slice[] | null> {
    const { columns, extractFile, primaryKey } = request
    const connection = this.#connection
    const more = Math.max(0, columns.length - MANY_COLUMNS) * COLUMN_BYTES
    if (more > 0) await this.#limit(this.#usualBytes + more)
    const counted = await connection.runAndReadAll('SELECT count(*) FROM extract.main.rows')
    const rows = Number(counted.getRows()[0]?.[0])
    const rowBytes = statSync(extractFile).size / Math.max(1, rows)
    if (more > 0 || rowBytes > WIDE_ROW_BYTES) await connection.run(`SET threads = ${this.#threads}`)
    const isMany = groupsOf(columns).length > 1
    const none: SlicedRows = { slices: [], readBytes: 0 }
    const extracted =
      rowBytes > LOOKED_AT_BYTES || isMany ? await extractSlices(connection, primaryKey[0] ?? '') : none
    const stored = await tableSlices(connection, { table: 'stored', size: 'size' })
    // DuckDB reads few rows where few are wanted, since extract and state are files. A copy is none.
    this.#readBytes = hidesRowIds(columns) ? extracted.readBytes : 0
    const most = Math.max(stored.readBytes, extracted.readBytes)
    const isNarrow = isMany || this.#readBytes > 0 || most <= SLICE_BYTES
    this.#wide = isNarrow ? 'none' : rows <= FEW_ROWS ? 'few' : 'many'
    const share = this.#wide === 'few' ? PUBLISHING_SHARE : 1
    await this.#limit(this.#enough(share, HASHING_BYTES) + more)
    return extracted.slices.length > 1 || isMany ? extracted.slices : null
  }

  /** While wide changes are staged. */
  async whileStagingWide(): Promise<void> {
    await this.#limit(Math.min(this.#usualBytes, STAGING_BYTES))
  }

  /** For reading so many bytes of rows at once. */
  async toRead(bytes: number): Promise<void> {
    this.#readBytes = bytes
    this.#wide = 'none'
    await this.#limit(this.#enough(1, JOINING_BYTES))
  }

  /** For the rest of the diff. */
  async whilePublishing(): Promise<void> {
    const least = Math.min(this.#usualBytes, JOINING_BYTES)
    await this.#limit(Math.max(least, this.#enough(PUBLISHING_SHARE, JOINING_BYTES)))
  }

  /** Between two pieces of work others need the memory: an export, or the state of another sync. */
  async letGo(): Promise<void> {
    await this.#limit(IDLE_BYTES)
    await this.#connection.run(`SET memory_limit = '${this.#usualBytes}B'`)
  }

  /** A share of the usual, or where rows are wide what they and the work on them take. */
  #enough(share: number, workBytes: number): number {
    const isWide = this.#readBytes > SLICE_BYTES || this.#wide !== 'none'
    return Math.max(this.#usualBytes * share, isWide ? Math.max(this.#readBytes, SLICE_BYTES) + workBytes : 0)
  }

  async #limit(bytes: number): Promise<void> {
    // What is in use stays, and DuckDB says so.
    await this.#connection.run(`SET memory_limit = '${Math.floor(bytes)}B'`).catch(() => undefined)
  }
}
