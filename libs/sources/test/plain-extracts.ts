/**
 * Extracts of queries that can be trusted, with one DuckDB and none of the checks of a source, which cost
 * three times as much. It is for tests of what comes after an extract.
 */
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import type { Column } from '@sluice/contracts/values'
import { attachExtract, closeExtract, DuckdbSession } from '../src/adapters/duckdb/session.ts'
import { type CarriedColumn, carriedColumnsOf, quoteIdentifier } from '../src/adapters/duckdb/types.ts'
import { sqlOf } from '../src/adapters/query/read-only-query.ts'
import type { Extract, Source } from '../src/port.ts'

/** File names in queries start from the folder. Not to be used concurrently. */
export function plainExtracts(folder: string): Source {
  const limits = { memoryLimit: '512MB', threads: 2, tempDirectory: `${folder}/plain-extracts.tmp` }
  let opening: Promise<DuckdbSession> | null = null
  const session = (): Promise<DuckdbSession> => (opening ??= DuckdbSession.open(folder, limits))
  return {
    describe: (model, { signal }) => {
      signal.throwIfAborted()
      return answer(async () => (await carriedColumns(await session(), sqlOf(model))).map(columnOf))
    },
    extract: (model, { file, signal }) => {
      signal.throwIfAborted()
      return answer(async () => extractTo(file, await session(), sqlOf(model)))
    },
    async [Symbol.asyncDispose]() {
      await (await opening)?.[Symbol.asyncDispose]()
    },
  }
}

const columnOf = ({ name, carried }: CarriedColumn): Column => ({ name, type: carried.type })

async function carriedColumns({ connection }: DuckdbSession, sql: string): Promise<readonly CarriedColumn[]> {
  const statement = await connection.prepare(sql)
  try {
    return carriedColumnsOf(statement)
  } finally {
    statement.destroySync()
  }
}

async function extractTo(file: string, session: DuckdbSession, sql: string): Promise<Extract> {
  const { connection } = session
  const columns = await carriedColumns(session, sql)
  const inner = columns.map((_, index) => `c${index}`)
  const outer = columns.map(({ name, carried }, index) => {
    const value = `c${index}`
    return `${carried.cast === null ? value : carried.cast(value)} AS ${quoteIdentifier(name)}`
  })
  await attachExtract(connection, file)
  try {
    await connection.run(
      `CREATE TABLE sluice_extract.main.rows AS SELECT ${outer.join(', ')} FROM (\n${sql}\n) AS query(${inner.join(', ')})`,
    )
    const counted = await connection.runAndReadAll('SELECT count(*) FROM sluice_extract.main.rows')
    return { file, columns: columns.map(columnOf), rowCount: Number(counted.getRows()[0]?.[0]) }
  } finally {
    await closeExtract(connection)
  }
}

async function answer<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new SluiceError('query', messageOf(error), { cause: error })
  }
}
