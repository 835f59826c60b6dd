/**
 * Accepts the result of a query's process. A hostile query may have taken that process over, so its file is
 * not trusted: it has to be one plain table. Columns and rows are read from the file, whatever the process
 * reported. The process has ended by then, so the file cannot change after the check.
 */
import { existsSync, lstatSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { Column } from '@sluice/contracts/values'
import { assertColumns, modelCalled } from '../query/model-columns.ts'
import { DuckdbSession } from './session.ts'
import { carry, quoteText } from './types.ts'

const MEMORY_LIMIT = '64MB'

export interface DeliveredRows {
  readonly columns: readonly Column[]
  readonly rowCount: number
}

/** Opens the session for `acceptRows`. That takes a moment, so the caller opens it while the query runs. */
export async function openToAccept(file: string): Promise<DuckdbSession> {
  const limits = { memoryLimit: MEMORY_LIMIT, threads: 1, tempDirectory: `${file}.tmp` }
  return await DuckdbSession.open(dirname(file), limits)
}

/**
 * Returns the columns and the number of rows in the file. Rejects with `internal` unless the file is one
 * table `rows` with as many rows as the process reported. The session cannot be used again, and the caller
 * closes it.
 */
export async function acceptRows(
  file: string,
  reported: { readonly model: ModelSpec; readonly rowCount: number; readonly session: DuckdbSession },
): Promise<DeliveredRows> {
  const { model, session } = reported
  if (!(lstatSync(file, { throwIfNoEntry: false })?.isFile() ?? false))
    throw notAccepted(model, 'no file is there')
  // DuckDB would carry out the statements in the log.
  if (existsSync(`${file}.wal`)) throw notAccepted(model, 'a write-ahead log is there')
  const { connection } = session
  try {
    await connection.run(`ATTACH ${quoteText(file)} AS delivered (TYPE duckdb, READ_ONLY)`)
    await session.closeOff([])
    await assertPlainTable(connection, model)
    const columns = await columnsOf(connection, model)
    const reader = await connection.runAndReadAll('SELECT count(*) FROM delivered.main.rows')
    const rowCount = Number(reader.getRows()[0]?.[0])
    if (rowCount !== reported.rowCount)
      throw notAccepted(model, `its process reported ${reported.rowCount} rows, and ${rowCount} are there`)
    return { columns, rowCount }
  } catch (error) {
    if (isSluiceError(error)) throw error
    throw notAccepted(model, messageOf(error), error)
  }
}

/**
 * Rejects a file with more than plain columns of one table, since a view or a calculated column would run a
 * stranger's SQL wherever the file is read. To find calculated columns, this makes a copy of the table, which
 * has none. DuckDB describes copy and table by the same text only if the table has none, too.
 */
async function assertPlainTable(connection: DuckDBConnection, model: ModelSpec): Promise<void> {
  const others = await connection.runAndReadAll(
    `SELECT (SELECT count(*) FROM duckdb_views() WHERE database_name = 'delivered' AND NOT internal)
       + (SELECT count(*) FROM duckdb_functions() WHERE database_name = 'delivered' AND NOT internal)
       + (SELECT count(*) FROM duckdb_types() WHERE database_name = 'delivered' AND NOT internal)
       + (SELECT count(*) FROM duckdb_sequences() WHERE database_name = 'delivered')
       + (SELECT count(*) FROM duckdb_indexes() WHERE database_name = 'delivered'),
       (SELECT list(schema_name || '.' || table_name) FROM duckdb_tables() WHERE database_name = 'delivered')`,
  )
  const [count, tables] = others.getRowsJson()[0] ?? []
  if (Number(count) !== 0 || JSON.stringify(tables) !== '["main.rows"]')
    throw notAccepted(model, 'it holds something else than one table')
  await connection.run('CREATE TABLE memory.main.rows AS FROM delivered.main.rows LIMIT 0')
  const described = await connection.runAndReadAll(
    `SELECT count(DISTINCT sql) FROM duckdb_tables() WHERE table_name = 'rows'`,
  )
  if (Number(described.getRows()[0]?.[0]) !== 1) throw notAccepted(model, 'its table is not a plain one')
}

/** Reads the columns from the file. Each has to have a type that needs no cast. */
async function columnsOf(connection: DuckDBConnection, model: ModelSpec): Promise<readonly Column[]> {
  const result = await connection.run('FROM memory.main.rows')
  const types = result.columnTypes()
  const columns = result.columnNames().map((name, index) => {
    const type = types[index]
    const carried = type === undefined ? null : carry(type)
    if (carried?.cast !== null) throw notAccepted(model, `its column ${name} is of the type ${String(type)}`)
    return { name, type: carried.type }
  })
  assertColumns(model, columns)
  return columns
}

function notAccepted(model: ModelSpec, why: string, cause?: unknown): SluiceError {
  const message = `The result of ${modelCalled(model.name)} cannot be used: ${why}. Nothing of it was taken.`
  return new SluiceError('internal', message, { cause })
}
