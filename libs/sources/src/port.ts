/**
 * A source, from which a model's rows are read. It runs one query in one read-only snapshot, and exports the
 * whole result into a DuckDB file for the diff. So no row passes through JavaScript, and a broken connection
 * never looks like removed rows.
 *
 * Errors are `SluiceError`s:
 *
 * - `query`: the database's message, with line and column in `details` if it gives them. Also for SQL that
 *   writes or is several statements.
 * - `missing-file`: names the path that does not exist.
 * - `unreachable`: retryable.
 * - `aborted`.
 */
import type { Column } from '@sluice/contracts/values'
import type { ModelSpec } from '@sluice/contracts/resources'

/** An exported result: a DuckDB database file with one table `rows`, columns in the query's order. */
export interface Extract {
  readonly file: string
  readonly columns: readonly Column[]
  readonly rowCount: number
  /** The columns that tell the rows apart, if the model leaves them to the source. */
  readonly primaryKey?: readonly string[]
  /**
   * True if reading again would give the same rows. The call is cheap, and never returns true by mistake.
   * Absent if only reading could tell.
   */
  readonly isUnchanged?: () => boolean
}

export interface Source extends AsyncDisposable {
  /** Returns the columns of the model's query, without reading its rows. */
  describe(model: ModelSpec, options: { signal: AbortSignal }): Promise<readonly Column[]>
  /**
   * Runs the model's query and writes the result to `file`, a path that does not exist yet. Resolves only if
   * the result is complete. Removes the file on any failure or abort. With `sample`, a part of the result is
   * enough, of so many rows if there are as many: a topic is then read from near its end.
   */
  extract(model: ModelSpec, options: { file: string; signal: AbortSignal; sample?: number }): Promise<Extract>
  /**
   * Returns the rights of the source's login beyond reading, as phrases such as `is a superuser`. Absent for
   * a source without a login.
   */
  excessRights?(options: { signal: AbortSignal }): Promise<readonly string[]>
}
