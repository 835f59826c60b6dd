/**
 * A source on any database server: a connection for each query, one read-only snapshot, the time-out, and the
 * end of all that. A dialect has the parts that differ between databases.
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec, MysqlSourceSpec, PostgresSourceSpec } from '@sluice/contracts/resources'
import type { SecretFor } from '@sluice/contracts/secret-references'
import type { Column } from '@sluice/contracts/values'
import type { Extract, Source } from '../../port.ts'
import { columnsOf, loadRows, type LoadedColumn } from './load-rows.ts'
import { addressOf, serverAccess, type PrivateNetworks, type ServerAccess } from './access.ts'
import { cannotLoad, incomplete, masked, type ServerNames, tookTooLong } from './errors.ts'

/**
 * A connection inside of its snapshot. `signal` aborts with the caller's signal, and when the time-out is
 * over.
 */
export interface ServerSession<C> {
  readonly connection: C
  readonly access: ServerAccess
  readonly names: ServerNames
  readonly signal: AbortSignal
}

/** The rows of a query, as they come. */
export interface RowStream {
  /** As `LoadOptions` has it. */
  readonly text: Readable
  /**
   * The number of rows that the server says it sent, once the snapshot is committed. Null if it does not say.
   */
  sentRows(): number | null
  /** The server's error about the query, if the stream fails. */
  failureOf(error: unknown): SluiceError
}

/** `C` is a connection. `P` is a query that is known to only read, with its columns. */
export interface ServerDialect<C, P extends { readonly columns: readonly LoadedColumn[] }> {
  /** The name of the database in messages. */
  readonly product: string
  connect(access: ServerAccess): Promise<C>
  /** Begins the snapshot, and sets how values are printed. */
  begin(connection: C, access: ServerAccess): Promise<void>
  /** Checks that the model's SQL is one query that only reads, and finds its columns, without running it. */
  prepare(session: ServerSession<C>, model: ModelSpec): Promise<P>
  /** As `Source` has it. */
  excessRights(connection: C): Promise<readonly string[]>
  /** Runs the query. */
  streamRows(session: ServerSession<C>, model: ModelSpec, prepared: P): RowStream
  /** Ends the snapshot; resolves only once the server has confirmed the result. */
  commit(connection: C): Promise<void>
  /**
   * Ends the query that may run on the server, within two seconds, or gives up. Never rejects. The connection
   * is still there: a pooler knows only by it which query is meant.
   */
  abandon(connection: C, access: ServerAccess): Promise<void>
  /** Breaks the connection. All calls that wait for an answer fail at once. */
  cut(connection: C): void
  /** Ends a connection on which nothing runs. Never rejects. */
  end(connection: C): Promise<void>
  connectError(error: unknown, names: ServerNames): SluiceError
  queryError(
    error: unknown,
    names: ServerNames,
    of: { readonly model: ModelSpec; readonly timeoutMs: number | null },
  ): SluiceError
}

export interface ServerSourceOptions<Spec extends PostgresSourceSpec | MysqlSourceSpec> {
  readonly spec: Spec
  /** Looks up a secret whenever a connection is opened. Its errors pass through. */
  readonly secretFor: SecretFor
  /** The most memory that loading the rows may take, in bytes. Default 128 MB. */
  readonly memoryBytes?: number
  /** Default `allowed`. */
  readonly privateNetworks?: PrivateNetworks
}

/** Queries may run concurrently, each on a connection of its own. */
export class ServerSource<C, P extends { readonly columns: readonly LoadedColumn[] }> implements Source {
  readonly #options: ServerSourceOptions<PostgresSourceSpec | MysqlSourceSpec>
  readonly #dialect: ServerDialect<C, P>

  constructor(
    options: ServerSourceOptions<PostgresSourceSpec | MysqlSourceSpec>,
    dialect: ServerDialect<C, P>,
  ) {
    this.#options = options
    this.#dialect = dialect
  }

  async describe(model: ModelSpec, options: { signal: AbortSignal }): Promise<readonly Column[]> {
    return this.#withSnapshot(model, options.signal, async session => {
      const { columns } = await this.#dialect.prepare(session, model)
      return columns.map(({ name, type }) => ({ name, type }))
    })
  }

  async extract(model: ModelSpec, options: { file: string; signal: AbortSignal }): Promise<Extract> {
    const { file } = options
    if (existsSync(file))
      throw new SluiceError('conflict', `${file} exists already; an extract wants a new file.`)
    try {
      return await this.#withSnapshot(model, options.signal, async session => {
        const prepared = await this.#dialect.prepare(session, model)
        return this.#load(session, model, { prepared, file })
      })
    } catch (error) {
      await Promise.all([file, `${file}.wal`].map(path => rm(path, { force: true })))
      throw error
    }
  }

  async excessRights(options: { signal: AbortSignal }): Promise<readonly string[]> {
    const { name } = this.#options.spec
    // Errors name the source in place of a model.
    const asked: ModelSpec = { kind: 'model', name, source: name, sql: '', primaryKey: '' }
    return this.#withSnapshot(asked, options.signal, ({ connection }) =>
      this.#dialect.excessRights(connection),
    )
  }

  async #load(
    session: ServerSession<C>,
    model: ModelSpec,
    { prepared, file }: { readonly prepared: P; readonly file: string },
  ): Promise<Extract> {
    const { connection, names, signal } = session
    const { columns } = prepared
    const { text, sentRows, failureOf } = this.#dialect.streamRows(session, model, prepared)
    let failed: { readonly error: unknown } | null = null
    text.on('error', error => (failed ??= { error }))
    const read = await loadRows({
      file,
      columns,
      text,
      memoryBytes: this.#options.memoryBytes,
      signal,
    }).catch((error: unknown) => {
      signal.throwIfAborted()
      throw failed === null ? cannotLoad(error, names, { model, file, columns }) : failureOf(failed.error)
    })
    await this.#dialect.commit(connection)
    const sent = sentRows()
    if (sent !== read) throw incomplete(names, model, { sent: sent ?? 0, read })
    return { file, columns: columnsOf(columns), rowCount: read }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  /**
   * Runs `work` on a connection of its own. When the caller aborts or the source's time-out is over, it ends
   * the work, on the server too.
   */
  async #withSnapshot<T>(
    model: ModelSpec,
    aborted: AbortSignal,
    work: (session: ServerSession<C>) => Promise<T>,
  ): Promise<T> {
    aborted.throwIfAborted()
    const dialect = this.#dialect
    const { access, names } = this.#accessAndNames()
    const { timeoutMs } = access
    const timeout = timeoutMs === null ? null : AbortSignal.timeout(timeoutMs)
    const signal = timeout === null ? aborted : AbortSignal.any([aborted, timeout])
    const connection = await dialect.connect(access).catch((error: unknown) => {
      aborted.throwIfAborted()
      throw dialect.connectError(error, names)
    })
    let stopping: Promise<void> | null = null
    const stop = (): Promise<void> =>
      (stopping ??= dialect.abandon(connection, access).finally(() => dialect.cut(connection)))
    signal.addEventListener('abort', stop, { once: true })
    let isDone = false
    try {
      signal.throwIfAborted()
      await dialect.begin(connection, access)
      const result = await work({ connection, access, names, signal })
      signal.throwIfAborted()
      isDone = true
      return result
    } catch (error) {
      aborted.throwIfAborted()
      if (timeoutMs !== null && timeout?.aborted === true)
        throw tookTooLong(error, names, { model, timeoutMs })
      throw dialect.queryError(error, names, { model, timeoutMs })
    } finally {
      signal.removeEventListener('abort', stop)
      await (isDone ? dialect.end(connection) : stop())
    }
  }

  #accessAndNames(): { readonly access: ServerAccess; readonly names: ServerNames } {
    const { spec, secretFor, privateNetworks } = this.#options
    const { product } = this.#dialect
    const secrets: string[] = []
    const noted: SecretFor = (name, use) => {
      const secret = secretFor(name, use)
      // In a URL it is written as URLs are.
      secrets.push(secret, decoded(secret))
      return secret
    }
    const access = serverAccess(spec, noted, privateNetworks)
    secrets.push(access.password)
    const server = masked(`${product} at ${addressOf(access)}`, secrets)
    return { access, names: { source: spec.name, server, secrets } }
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
