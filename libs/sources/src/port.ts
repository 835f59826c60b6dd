/**
 * A source, from which a model's rows are read. It runs one query in one read-only snapshot, and exports the
 * whole result into a DuckDB file for the diff. So no row passes through JavaScript, and a broken connection
 * never looks like removed rows.
 *
 * Errors are `SluiceError`s: `query` (the database's message, with line and column in `details` if it gives
 * them; also for SQL that writes or is several statements), `missing-file` (names the path that was looked
 * for), `unreachable` (retryable), `aborted`.
 */
import type { Column } from '@sluice/contracts/values'
import type { ModelSpec } from '@sluice/contracts/resources'

/** An exported result: a DuckDB database file with one table `rows`, columns in the query's order. */
export interface Extract {
  readonly file: string
  readonly columns: readonly Column[]
  readonly rowCount: number
  /**
   * True while a reading would give the same rows again. Cheap, and never true by mistake. Absent where
   * nobody can know that without reading.
   */
  readonly isStillSo?: () => boolean
}

export interface Source extends AsyncDisposable {
  /** The columns that the model's query gives, without reading its rows. */
  describe(model: ModelSpec, options: { signal: AbortSignal }): Promise<readonly Column[]>
  /**
   * Runs the model's query and writes the complete result to `file`, a path that does not exist yet. Resolves
   * only if the result is complete. On any failure or abort it removes the file.
   */
  extract(model: ModelSpec, options: { file: string; signal: AbortSignal }): Promise<Extract>
  /**
   * What the source's login may do beyond reading, as phrases such as `is a superuser`. Missing for a source
   * that has no login.
   */
  excessRights?(options: { signal: AbortSignal }): Promise<readonly string[]>
}
