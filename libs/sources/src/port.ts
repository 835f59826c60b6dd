/**
 * A source: where a model's rows are read from. One query in one read-only snapshot, exported whole into a
 * DuckDB file that the diff reads, so that no row passes through JavaScript and a broken connection can never
 * look like removed rows.
 *
 * Errors are `SluiceError`s: `query` (the database's message, with line and column in `details` where it
 * tells; also for SQL that is several statements or writes), `missing-file` (names the file as it was looked
 * for), `unreachable` (retryable), `aborted`.
 */
import type { Column } from '@sluice/contracts/values'
import type { ModelSpec } from '@sluice/contracts/resources'

/** An exported result: a DuckDB database file with one table `rows`, columns in the query's order. */
export interface Extract {
  readonly file: string
  readonly columns: readonly Column[]
  readonly rowCount: number
}

export interface Source extends AsyncDisposable {
  /** The columns that the model's query gives, without reading its rows. */
  describe(model: ModelSpec, options: { signal: AbortSignal }): Promise<readonly Column[]>
  /**
   * Runs the model's query and writes the complete result to `file`, a path that does not exist yet. Resolves
   * only if the result came to its proper end; on any failure or abort the file is removed.
   */
  extract(model: ModelSpec, options: { file: string; signal: AbortSignal }): Promise<Extract>
}
