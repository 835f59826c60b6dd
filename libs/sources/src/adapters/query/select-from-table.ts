/** Reads a table by a model's `sql` over its rows, one by one, as a topic is read. */
import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isSluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { type Column, WHY_INVALID } from '@sluice/contracts/values'
import { primaryKeyOf } from '@sluice/domain/definition'
import type { Extract, Source } from '../../port.ts'
import { diskErrorOf } from '../duckdb/errors.ts'
import { attachExtract, closeExtract, DuckdbSession } from '../duckdb/session.ts'
import { quoteIdentifier, quoteText } from '../duckdb/types.ts'
import { removeExtract } from '../extract-file.ts'
import { createRows } from '../kafka/select-changes.ts'
import { selectedColumns } from './changes-query.ts'

const MEMORY_BYTES = 128_000_000
const THREADS = 2
const TABLE = 'sluice_table'
/** True for a model that has SQL over the rows of a table. */
export function selectsFromTable({ table, sql }: ModelSpec): boolean {
  return table !== undefined && sql !== undefined
}

/** Returns the model without its SQL: the whole table. */
export function tableAlone({ sql: _, ...model }: ModelSpec): ModelSpec {
  return model
}

/**
 * Extracts the table, as `whole` says, and writes what the SQL of `model` makes of its rows to `file`.
 * Rejects with `query` for SQL that is not row by row.
 */
export async function extractSelected(
  source: Source,
  { whole, model }: { readonly whole: ModelSpec; readonly model: ModelSpec },
  options: {
    readonly file: string
    readonly signal: AbortSignal
    readonly sample?: number
    readonly memoryBytes?: number | undefined
  },
): Promise<Extract> {
  const { file, signal, sample = null, memoryBytes = MEMORY_BYTES } = options
  const tableFile = `${file}.table`
  try {
    const { columns } = await source.extract(whole, { file: tableFile, signal })
    await using session = await DuckdbSession.open(dirname(file), {
      memoryLimit: `${memoryBytes}B`,
      threads: THREADS,
      tempDirectory: `${file}.tmp`,
    })
    return await session.interruptible(signal, async () => {
      const { connection } = session
      await attachExtract(connection, file)
      await connection.run(`ATTACH ${quoteText(tableFile)} AS ${TABLE} (READ_ONLY)`)
      await session.closeOff([])
      const made = await createRows(connection, {
        model,
        changes: await changesOf(columns, async () => {
          const reader = await connection.runAndReadAll(
            `SELECT 1 FROM duckdb_columns() WHERE database_name = '${TABLE}' AND column_name = ${quoteText(WHY_INVALID)}`,
          )
          return reader.currentRowCount > 0
        }),
        columns,
        primaryKey: primaryKeyOf(model),
        limit: sample,
      })
      await closeExtract(connection)
      return { file, ...made }
    })
  } catch (error) {
    await removeExtract(file)
    signal.throwIfAborted()
    throw isSluiceError(error) ? error : (diskErrorOf(error, { model: model.name, file }) ?? error)
  } finally {
    await removeExtract(tableFile)
    await rm(`${file}.tmp`, { recursive: true, force: true })
  }
}

/** Returns SQL for the rows of the table, with the reason of each that is invalid. */
async function changesOf(columns: readonly Column[], hasReasons: () => Promise<boolean>): Promise<string> {
  const why = quoteIdentifier(WHY_INVALID)
  const names = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  return `(SELECT ${names}, ${(await hasReasons()) ? why : `CAST(NULL AS VARCHAR) AS ${why}`} FROM ${TABLE}.main.rows)`
}

/** Lets a source of tables read models that have SQL over a table. Errors of the source pass through. */
export function withSelectedTables(source: Source, memoryBytes: number | undefined): Source {
  const { excessRights } = source
  return {
    ...(excessRights === undefined ? {} : { excessRights: options => excessRights.call(source, options) }),
    describe: async (model, options) => {
      if (!selectsFromTable(model)) return await source.describe(model, options)
      return await selectedColumns(model, await source.describe(tableAlone(model), options), options.signal)
    },
    extract: (model, options) => {
      if (!selectsFromTable(model)) return source.extract(model, options)
      return extractSelected(source, { whole: tableAlone(model), model }, { ...options, memoryBytes })
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  }
}
