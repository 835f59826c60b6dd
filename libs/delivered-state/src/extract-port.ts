/**
 * The rows of an extract, in the order of their keys, for the comparison of a stream with its table. A
 * `StreamState` has its keys in the same order.
 */
import type { InvalidSample } from '@sluice/contracts/records'
import type { Column, Row } from '@sluice/contracts/values'

export interface ExtractRowsOptions {
  /** A DuckDB file with the table `rows`, as a source exports it. */
  readonly file: string
  readonly columns: readonly Column[]
  readonly primaryKey: readonly string[]
  readonly signal: AbortSignal
}

export interface ExtractedRow {
  readonly key: string
  /**
   * Null: the row is invalid. Several rows have its key, or it has a value that cannot be carried. It counts
   * as neither there nor gone.
   */
  readonly row: Row | null
}

/**
 * An opened extract. One caller at a time. Errors are `SluiceError`s: `config` for a key column that the
 * extract lacks.
 */
export interface ExtractRows extends AsyncDisposable {
  readonly rowsRead: number
  /** Rows without a usable key, or with a value that cannot be carried. */
  readonly rowsInvalid: number
  /** At most ten of them. */
  readonly invalidSamples: readonly InvalidSample[]
  /** Keys alone, in pages, in the order of their UTF-8 bytes. May be iterated again. */
  keys(): AsyncIterable<readonly string[]>
  /** Rows in pages of at most 5,000 and a few megabytes, in the order of the UTF-8 bytes of their keys. */
  rows(): AsyncIterable<readonly ExtractedRow[]>
}
