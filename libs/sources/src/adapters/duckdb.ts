/**
 * The source of type `duckdb`: CSV, Parquet and JSON files of a folder, or a .duckdb file, all read-only.
 * Each query has a DuckDB instance of its own, which writes the result straight into the extract. So no row
 * passes through JavaScript.
 */
import { existsSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { DuckdbSourceSpec, ModelSpec } from '@sluice/contracts/resources'
import type { Column } from '@sluice/contracts/values'
import { primaryKeyOf } from '@sluice/domain/definition'
import type { Extract, Source } from '../port.ts'
import {
  diskErrorOf,
  emptyFile,
  messageOf,
  missingFile,
  queryError,
  saysOutOfMemory,
} from './duckdb/errors.ts'
import { attachExtract, DuckdbSession } from './duckdb/session.ts'
import { resolveFiles, type ResolvedQuery } from './duckdb/file-references.ts'
import { type Carried, carry, quoteIdentifier, quoteText } from './duckdb/types.ts'
import { assertColumns } from './query/model-columns.ts'
import { assertBeginsAsQuery, prepareQuery, sqlOf } from './query/read-only-query.ts'

export interface DuckdbSourceOptions {
  readonly spec: DuckdbSourceSpec
  /**
   * The most memory of a query, as DuckDB writes sizes. Default 512MB. DuckDB writes data that does not fit
   * to files beside the extract.
   */
  readonly memoryLimit?: string
  /**
   * The memory that a query gets at first, since DuckDB keeps all that it has read while memory allows. If a
   * query needs more, it runs once more with the limit. Default: the limit.
   */
  readonly usualMemory?: string
  /** Default 2. */
  readonly threads?: number
}

/** With this many columns, the row groups of two threads take too much memory. */
const MANY_COLUMNS = 100

interface QueryColumn {
  readonly name: string
  readonly carried: Carried
}

/**
 * Makes a source over files of a folder or a .duckdb file. Queries may run concurrently, each with its own
 * memory.
 */
export function createDuckdbSource(options: DuckdbSourceOptions): Source {
  return new DuckdbSource(options)
}

class DuckdbSource implements Source {
  readonly #options: DuckdbSourceOptions

  constructor(options: DuckdbSourceOptions) {
    this.#options = options
  }

  async describe(model: ModelSpec, options: { signal: AbortSignal }): Promise<readonly Column[]> {
    return this.#withSession(model, { signal: options.signal, tempDirectory: tmpdir() }, async session => {
      const { columns } = await this.#prepare(session.connection, model)
      return columns.map(({ name, carried }) => ({ name, type: carried.type }))
    })
  }

  async extract(model: ModelSpec, options: { file: string; signal: AbortSignal }): Promise<Extract> {
    const { file, signal } = options
    if (existsSync(file))
      throw new SluiceError('conflict', `${file} exists already; an extract wants a new file.`)
    const { usualMemory } = this.#options
    const run = (memory?: string): Promise<Extract> =>
      this.#withSession(model, { signal, tempDirectory: `${file}.tmp`, memory }, session =>
        this.#export(session, model, file),
      )
    try {
      if (usualMemory === undefined) return await run()
      return await run(usualMemory).catch(async (error: unknown) => {
        signal.throwIfAborted()
        if (!saysOutOfMemory(causeOf(error))) throw error
        await removeExtract(file)
        return run()
      })
    } catch (error) {
      await removeExtract(file)
      signal.throwIfAborted()
      throw diskErrorOf(causeOf(error), { model: model.name, file }) ?? error
    } finally {
      await rm(`${file}.tmp`, { recursive: true, force: true })
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  /**
   * Runs `work` in an instance of its own. Ends it when the caller aborts, or when the source's time-out is
   * over.
   */
  async #withSession<T>(
    model: ModelSpec,
    how: {
      readonly signal: AbortSignal
      readonly tempDirectory: string
      readonly memory?: string | undefined
    },
    work: (session: DuckdbSession) => Promise<T>,
  ): Promise<T> {
    how.signal.throwIfAborted()
    const { spec, memoryLimit = '512MB', threads = 2 } = this.#options
    this.#assertPathExists()
    const timeout = spec.timeout === undefined ? null : AbortSignal.timeout(spec.timeout)
    const signal = timeout === null ? how.signal : AbortSignal.any([how.signal, timeout])
    await using session = await DuckdbSession.open(this.#folder(), {
      memoryLimit: how.memory ?? memoryLimit,
      threads,
      tempDirectory: how.tempDirectory,
    })
    try {
      await this.#attach(session.connection)
      return await session.interruptible(signal, () => work(session))
    } catch (error) {
      how.signal.throwIfAborted()
      if (timeout?.aborted === true)
        throw new SluiceError(
          'query',
          `The query of model ${model.name} took longer than the time-out of source ${spec.name}, ${spec.timeout ?? 0} ms.`,
          { cause: error, retryable: true },
        )
      throw error
    }
  }

  #folder(): string {
    const { path } = this.#options.spec
    return this.#isDatabase() ? dirname(path) : path
  }

  #isDatabase(): boolean {
    return statSync(this.#options.spec.path, { throwIfNoEntry: false })?.isFile() ?? false
  }

  #assertPathExists(): void {
    const { path, name } = this.#options.spec
    if (!existsSync(path)) throw missingFile(path, { source: name })
  }

  /** Opens the .duckdb file read-only, and makes DuckDB look up names in it. */
  async #attach(connection: DuckDBConnection): Promise<void> {
    if (!this.#isDatabase()) return
    const { path, name } = this.#options.spec
    try {
      await connection.run(`ATTACH ${quoteText(path)} AS source_database (TYPE duckdb, READ_ONLY)`)
      await connection.run('USE source_database')
    } catch (error) {
      const message = messageOf(error)
      if (/lock/i.test(message))
        throw new SluiceError('unreachable', `Source ${name}: another process has ${path} open: ${message}`, {
          cause: error,
          retryable: true,
        })
      throw new SluiceError(
        'query',
        `Source ${name}: ${path} is not a DuckDB database that can be read: ${message}`,
        {
          cause: error,
        },
      )
    }
  }

  /** Checks the model's SQL and finds its columns, without reading rows. */
  async #prepare(
    connection: DuckDBConnection,
    model: ModelSpec,
  ): Promise<{ readonly query: ResolvedQuery; readonly columns: readonly QueryColumn[] }> {
    const written = sqlOf(model)
    assertBeginsAsQuery(model, written)
    const query = await resolveFiles(connection, written, this.#folder())
    const columns = await this.#translated(model, query, 0, async () => {
      const statement = await prepareQuery(connection, model, query.sql)
      try {
        return Array.from({ length: statement.columnCount }, (_, i) => ({
          name: statement.columnName(i),
          carried: carry(statement.columnType(i)),
        }))
      } finally {
        statement.destroySync()
      }
    })
    assertColumns(model, columns)
    const lacksKey = primaryKeyOf(model).some(key => columns.every(({ name }) => name !== key))
    const empty = lacksKey ? emptyFile(query, { model: model.name }) : null
    if (empty !== null) throw empty
    return { query, columns }
  }

  async #export(session: DuckdbSession, model: ModelSpec, file: string): Promise<Extract> {
    const { connection } = session
    const { query, columns } = await this.#prepare(connection, model)
    const inner = columns.map((_, index) => `c${index}`)
    const outer = columns.map(({ name, carried }, index) => {
      const value = `c${index}`
      return `${carried.cast === null ? value : carried.cast(value)} AS ${quoteIdentifier(name)}`
    })
    await attachExtract(connection, file)
    // Each thread keeps all columns of a row group in memory.
    if (columns.length > MANY_COLUMNS) await connection.run('SET threads = 1')
    await connection.run('SET lock_configuration = true')
    const create = `CREATE TABLE sluice_extract.main.rows AS SELECT ${outer.join(', ')} FROM (\n${query.sql}\n) AS query(${inner.join(', ')})`
    await this.#translated(model, query, 1, () => connection.run(create))
    const counted = await connection.runAndReadAll('SELECT count(*) FROM sluice_extract.main.rows')
    if (this.#isDatabase()) await connection.run('USE memory')
    await connection.run('DETACH sluice_extract')
    return {
      file,
      columns: columns.map(({ name, carried }) => ({ name, type: carried.type })),
      rowCount: Number(counted.getRows()[0]?.[0]),
    }
  }

  /** Translates DuckDB's errors into SluiceErrors, with places in the SQL as the user wrote it. */
  async #translated<T>(
    model: ModelSpec,
    query: ResolvedQuery,
    linesBefore: number,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isSluiceError(error)) throw error
      const written = sqlOf(model)
      const isTable = model.sql === undefined
      const of = { model: model.name, isTable, folder: this.#folder() }
      throw queryError({ error, query, written, linesBefore, ...of })
    }
  }
}

async function removeExtract(file: string): Promise<void> {
  await Promise.all([file, `${file}.wal`].map(path => rm(path, { force: true })))
}

/** DuckDB's own error, even if a SluiceError already wraps it. */
function causeOf(error: unknown): unknown {
  return isSluiceError(error, 'query') ? error.cause : error
}
