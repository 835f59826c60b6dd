/**
 * Source of the type `postgres`. The result of `COPY (query) TO STDOUT` streams into DuckDB, which reads its
 * text; no value is looked at here. Query and catalog are read in one read-only snapshot.
 */
import { rm } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import type { Client } from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec, PostgresSourceSpec } from '@sluice/contracts/resources'
import type { Column } from '@sluice/contracts/values'
import type { Extract, Source } from '../port.ts'
import { columnsOf, loadRows } from './load-rows.ts'
import { assertColumns } from './model-columns.ts'
import { abandon, beginSnapshot, catalogOf, connect, describeStatement } from './postgres-connection.ts'
import { connectError, queryError, type PostgresFailure } from './postgres-errors.ts'
import { carryPostgres, type PostgresColumn } from './postgres-types.ts'
import { assertBeginsAsQuery, refused, sqlOf } from './read-only-query.ts'
import { addressOf, type SecretOf, serverAccess, type ServerAccess } from './server-access.ts'
import { cannotLoad, incomplete, type ServerNames, tookTooLong } from './server-errors.ts'

const DEFAULT_PORT = 5432
const FIRST_WORDS = ['select', 'with', 'values', 'table']

export interface PostgresSourceOptions {
  readonly spec: PostgresSourceSpec
  /** Looks a secret up whenever a connection is opened; what it throws passes through. */
  readonly secretOf: SecretOf
}

/** A source in a PostgreSQL database. Queries may run concurrently; each has a connection of its own. */
export function createPostgresSource(options: PostgresSourceOptions): Source {
  return new PostgresSource(options)
}

/** A query of a model, found to be one that reads, and its columns. */
interface Prepared {
  readonly sql: string
  readonly columns: readonly PostgresColumn[]
}

class PostgresSource implements Source {
  readonly #options: PostgresSourceOptions

  constructor(options: PostgresSourceOptions) {
    this.#options = options
  }

  async describe(model: ModelSpec, options: { signal: AbortSignal }): Promise<readonly Column[]> {
    return this.#withSnapshot(model, options.signal, async session => {
      const { columns } = await prepare(session, model)
      return columns.map(({ name, type }) => ({ name, type }))
    })
  }

  async extract(model: ModelSpec, options: { file: string; signal: AbortSignal }): Promise<Extract> {
    const { file } = options
    if (existsSync(file))
      throw new SluiceError('conflict', `${file} exists already; an extract wants a new file.`)
    try {
      return await this.#withSnapshot(model, options.signal, async session => {
        const prepared = await prepare(session, model)
        return exportRows(session, model, { ...prepared, file })
      })
    } catch (error) {
      await Promise.all([file, `${file}.wal`].map(path => rm(path, { force: true })))
      throw error
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  /**
   * Runs work in a connection of its own, and ends it, on the server too, when the caller aborts or the
   * source's time-out is over.
   */
  async #withSnapshot<T>(
    model: ModelSpec,
    aborted: AbortSignal,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    aborted.throwIfAborted()
    const { spec, secretOf } = this.#options
    const access = serverAccess(spec, { secretOf, defaultPort: DEFAULT_PORT })
    const names = {
      source: spec.name,
      server: `PostgreSQL at ${addressOf(access)}`,
      password: access.password,
    }
    const { timeoutMs } = access
    const timeout = timeoutMs === null ? null : AbortSignal.timeout(timeoutMs)
    const signal = timeout === null ? aborted : AbortSignal.any([aborted, timeout])
    const client = await connect(access).catch((error: unknown) => {
      aborted.throwIfAborted()
      throw connectError(error, names)
    })
    // Whatever waits for the server fails at once.
    const onAbort = (): void => void client.connection.stream.destroy()
    signal.addEventListener('abort', onAbort, { once: true })
    let isDone = false
    try {
      signal.throwIfAborted()
      await beginSnapshot(client, timeoutMs)
      const result = await work({ client, access, names, signal })
      signal.throwIfAborted()
      isDone = true
      return result
    } catch (error) {
      aborted.throwIfAborted()
      if (timeoutMs !== null && timeout?.aborted === true)
        throw tookTooLong(error, names, { model, timeoutMs })
      throw queryError(error, names, { model, timeoutMs, sql: '', charactersBefore: 0 })
    } finally {
      signal.removeEventListener('abort', onAbort)
      if (isDone) await client.end().catch(() => undefined)
      else await abandon(client, access)
    }
  }
}

/** A connection inside of its snapshot. */
interface Session {
  readonly client: Client
  readonly access: ServerAccess
  readonly names: ServerNames
  readonly signal: AbortSignal
}

/** Makes sure that the model's SQL is one query that reads, and finds its columns. Nothing is run. */
async function prepare(session: Session, model: ModelSpec): Promise<Prepared> {
  const { client, access, names, signal } = session
  const sql = sqlOf(model)
  assertBeginsAsQuery(model, sql, FIRST_WORDS)
  const failure = { model, timeoutMs: access.timeoutMs, sql, charactersBefore: 0 }
  const translated = <T>(work: Promise<T>, of: PostgresFailure = failure): Promise<T> =>
    work.catch((error: unknown) => {
      signal.throwIfAborted()
      if (/cannot insert multiple commands/.test(String(error)))
        throw refused(model, 'it is several statements')
      throw queryError(error, names, of)
    })
  const described = await translated(describeStatement(client, sql))
  if (described.parameters > 0) throw refused(model, 'it has parameters, for which there are no values')
  if (described.columns === null) throw refused(model, 'it is a statement that gives no rows')
  assertColumns(model, described.columns)
  const catalog = await translated(catalogOf(client, described.columns))
  const columns = described.columns.map(column => carryPostgres(column, catalog))
  // Inside of a query only what reads can stand, which PostgreSQL's parser then makes sure of.
  const { text, charactersBefore } = selection(sql, columns)
  await translated(describeStatement(client, text), { ...failure, charactersBefore })
  return { sql, columns }
}

/** The query around the model's, which prints its columns as they are to travel. */
function selection(
  sql: string,
  columns: readonly PostgresColumn[],
): { readonly text: string; readonly charactersBefore: number } {
  const names = columns.map((_, index) => `c${index}`)
  const values = columns.map(({ select }, index) => select(`c${index}`))
  // DuckDB passes over a line without text, so that a column never stands alone.
  if (values.length === 1) values.push('1')
  const before = `SELECT ${values.join(', ')} FROM (\n`
  return {
    text: `${before}${sql}\n) AS query(${names.join(', ')})`,
    charactersBefore: Array.from(before).length,
  }
}

async function exportRows(
  session: Session,
  model: ModelSpec,
  what: Prepared & { readonly file: string },
): Promise<Extract> {
  const { client, access, names, signal } = session
  const { sql, columns, file } = what
  const { text, charactersBefore } = selection(sql, columns)
  const begin = 'COPY ('
  const stream = client.query(copyTo(`${begin}${text}\n) TO STDOUT`))
  let failed: { readonly error: unknown } | null = null
  // pg tells the stream, which does not end by that; whoever reads it later would wait for ever.
  stream.on('error', error => {
    failed ??= { error }
    stream.destroy(error)
  })
  const read = await loadRows({ file, columns, text: stream, signal }).catch((error: unknown) => {
    signal.throwIfAborted()
    if (failed === null) throw cannotLoad(error, names, { model, file, columns })
    const failure = { model, timeoutMs: access.timeoutMs, sql }
    throw queryError(failed.error, names, { ...failure, charactersBefore: charactersBefore + begin.length })
  })
  // Only this waits for the server's word that the result was complete, and how many rows it had.
  await client.query('COMMIT')
  if (stream.rowCount !== read) throw incomplete(names, model, { sent: stream.rowCount, read })
  return { file, columns: columnsOf(columns), rowCount: read }
}
