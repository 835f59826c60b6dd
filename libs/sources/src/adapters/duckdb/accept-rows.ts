/**
 * Takes the result of a query's process. That process may have been taken over by the query, so its file
 * counts as data of a stranger: it has to be one plain table, whose columns and rows are those that stand in
 * it and not those that the process told of. The process is gone by then, so the file stays as it was looked
 * at.
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

/**
 * What a result is looked at with. It takes a moment to open, and can be opened while the query is at work.
 */
export async function openToAccept(file: string): Promise<DuckdbSession> {
  const limits = { memoryLimit: MEMORY_LIMIT, threads: 1, tempDirectory: `${file}.tmp` }
  return await DuckdbSession.open(dirname(file), limits)
}

/**
 * The caller closes the session, which is of no use any more. Rejects with `internal` if the file is anything
 * else than the table `rows` with this many rows.
 */
export async function acceptRows(
  file: string,
  of: { readonly model: ModelSpec; readonly rowCount: number; readonly session: DuckdbSession },
): Promise<DeliveredRows> {
  const { model, session } = of
  if (!(lstatSync(file, { throwIfNoEntry: false })?.isFile() ?? false))
    throw notAccepted(model, 'no file is there')
  // DuckDB would carry out what stands in it.
  if (existsSync(`${file}.wal`)) throw notAccepted(model, 'a write-ahead log is there')
  const { connection } = session
  try {
    await connection.run(`ATTACH ${quoteText(file)} AS delivered (TYPE duckdb, READ_ONLY)`)
    await session.closeOff([])
    await assertPlainTable(connection, model)
    const columns = await columnsOf(connection, model)
    const reader = await connection.runAndReadAll('SELECT count(*) FROM delivered.main.rows')
    const rowCount = Number(reader.getRows()[0]?.[0])
    if (rowCount !== of.rowCount)
      throw notAccepted(model, `it told of ${of.rowCount} rows, and ${rowCount} are there`)
    return { columns, rowCount }
  } catch (error) {
    if (isSluiceError(error)) throw error
    throw notAccepted(model, messageOf(error), error)
  }
}

/**
 * A view, or a column that is calculated, would run SQL of a stranger wherever the file is read. A table that
 * is made of another one has neither, and is described by the same text only if the other one has neither,
 * too.
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

/** Found in the file itself, where each column has a type that needs no cast. */
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
  const message = `The result of ${modelCalled(model.name)} cannot be used: ${why}. Of it nothing was taken.`
  return new SluiceError('internal', message, { cause })
}
