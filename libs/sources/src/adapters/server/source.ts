/**
 * A source on any database server. It opens a connection for each query, begins one read-only snapshot,
 * enforces the time-out, and ends all of that. A dialect has the parts that differ between databases.
 */
import type { Readable } from 'node:stream'
import type { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { ServerSourceSpec } from '@sluice/contracts/source-types'
import { type SecretFor, secretNames } from '@sluice/contracts/secret-references'
import { percentDecoded } from '@sluice/contracts/specs/http-texts'
import type { Column } from '@sluice/contracts/values'
import type { Extract, Source } from '../../port.ts'
import { assertNewFile, removeExtract } from '../extract-file.ts'
import { extractSampled } from '../query/sampled.ts'
import type { SqlDialect } from '../query/sql-dialect.ts'
import { columnsOf, loadRows, type LoadedColumn } from './load-rows.ts'
import { addressOf, serverAccess, type PrivateNetworks, type ServerAccess } from './access.ts'
import { cannotLoad, incomplete, masked, type ServerNames, tookTooLong } from './errors.ts'

/** A connection in its snapshot. `signal` aborts with the caller's signal, and at the time-out. */
export interface ServerSession<C> {
  readonly connection: C
  readonly access: ServerAccess
  readonly names: ServerNames
  readonly signal: AbortSignal
}

/** The rows of a query while they arrive. */
export interface RowStream {
  /** The text for `LoadOptions`. */
  readonly text: Readable
  /** Returns the number of rows that the server reports to have sent; null if it reports none. */
  sentRows(): number | null
  /** Translates an error of the stream. */
  failureOf(error: unknown): SluiceError
}

/** `C` is a connection. `P` is a checked query with its columns. */
export interface ServerDialect<C, P extends { readonly columns: readonly LoadedColumn[] }> {
  /** The name of the database in messages. */
  readonly product: string
  readonly sql: SqlDialect
  connect(access: ServerAccess): Promise<C>
  /** Begins the snapshot, and sets the form in which values are printed. */
  begin(connection: C, access: ServerAccess): Promise<void>
  /** Checks that the model's SQL is one query that only reads, and finds its columns, without running it. */
  prepare(session: ServerSession<C>, model: ModelSpec): Promise<P>
  /** See `Source.excessRights`. */
  excessRights(connection: C): Promise<readonly string[]>
  /** Runs the query. */
  streamRows(session: ServerSession<C>, model: ModelSpec, prepared: P): RowStream
  /** Ends the snapshot; resolves only once the server has confirmed the result. */
  commit(connection: C): Promise<void>
  /**
   * Ends the query that may run on the server, and gives up after two seconds. Never rejects. The connection
   * is still open, since a pooler needs it to find the query.
   */
  abandon(connection: C, access: ServerAccess): Promise<void>
  /** Breaks the connection. All calls that wait for an answer fail at once. */
  destroy(connection: C): void
  /** Closes a connection on which nothing runs. Never rejects. */
  end(connection: C): Promise<void>
  connectError(error: unknown, names: ServerNames): SluiceError
  queryError(
    error: unknown,
    names: ServerNames,
    query: { readonly model: ModelSpec; readonly timeoutMs: number | null },
  ): SluiceError
}

export interface ServerSourceOptions<Spec extends ServerSourceSpec> {
  readonly spec: Spec
  /** Called whenever a connection is opened. Its errors pass through. */
  readonly secretFor: SecretFor
  /** The memory that DuckDB may take to load the rows, in bytes. Default 128 MB. */
  readonly memoryBytes?: number
  /** Default `allowed`. */
  readonly privateNetworks?: PrivateNetworks
}

/** Queries may run concurrently, each on a connection of its own. */
export class ServerSource<C, P extends { readonly columns: readonly LoadedColumn[] }> implements Source {
  readonly #options: ServerSourceOptions<ServerSourceSpec>
  readonly #dialect: ServerDialect<C, P>

  constructor(options: ServerSourceOptions<ServerSourceSpec>, dialect: ServerDialect<C, P>) {
    this.#options = options
    this.#dialect = dialect
  }

  async describe(model: ModelSpec, options: { signal: AbortSignal }): Promise<readonly Column[]> {
    return this.#withSnapshot(model, options.signal, async session => {
      const { columns } = await this.#dialect.prepare(session, model)
      return columns.map(({ name, type }) => ({ name, type }))
    })
  }

  async extract(
    model: ModelSpec,
    { sample, ...options }: { file: string; signal: AbortSignal; sample?: number },
  ): Promise<Extract> {
    return await extractSampled(model, sample, {
      dialect: this.#dialect.sql,
      extract: asked => this.#extract(asked, options),
      describe: asked => this.describe(asked, options),
    })
  }

  async #extract(model: ModelSpec, options: { file: string; signal: AbortSignal }): Promise<Extract> {
    const { file } = options
    assertNewFile(file)
    try {
      return await this.#withSnapshot(model, options.signal, async session => {
        const prepared = await this.#dialect.prepare(session, model)
        return this.#load(session, model, { prepared, file })
      })
    } catch (error) {
      await removeExtract(file)
      throw error
    }
  }

  async excessRights(options: { signal: AbortSignal }): Promise<readonly string[]> {
    const { name } = this.#options.spec
    // Errors name a model, and here the source stands for it.
    const stand: ModelSpec = { kind: 'model', name, source: name, sql: '', primaryKey: '' }
    return this.#withSnapshot(stand, options.signal, ({ connection }) =>
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
   * Runs `work` on a connection of its own. When the caller aborts, or at the source's time-out, it ends the
   * work, also on the server.
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
      (stopping ??= dialect.abandon(connection, access).finally(() => dialect.destroy(connection)))
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

  #accessAndNames(): AccessAndNames {
    return accessAndNames(this.#options, this.#dialect.product)
  }
}

export interface AccessAndNames {
  readonly access: ServerAccess
  readonly names: ServerNames
}

/** Fills in the secrets, for one connection, and notes them for messages. Throws as `serverAccess` does. */
export function accessAndNames(
  { spec, secretFor, privateNetworks }: ServerSourceOptions<ServerSourceSpec>,
  product: string,
): AccessAndNames {
  const secrets: string[] = []
  const noting: SecretFor = (name, use) => {
    const secret = secretFor(name, use)
    // A secret in a URL is percent-encoded.
    secrets.push(secret, percentDecoded(secret))
    return secret
  }
  const access = serverAccess(spec, noting, privateNetworks)
  secrets.push(access.password)
  const server = masked(`${product} at ${addressOf(access)}`, secrets)
  const [passwordName = null] = secretNames(spec.password ?? '')
  return { access, names: { source: spec.name, server, secrets, passwordName } }
}
