/**
 * The source of type `postgres` whose tables are followed: their changes come from PostgreSQL's log, by
 * logical replication. A slot keeps the log from being forgotten, and a publication says which tables are in
 * it.
 *
 * The order of an entry is the position of its commit, and its place in the transaction. A comparison reads
 * the table in the snapshot of a temporary slot, which names the position that the snapshot is of.
 */
import { randomBytes } from 'node:crypto'
import { type Client, DatabaseError } from 'pg'
import type { StreamPosition } from '@sluice/contracts/records'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { JsonText, type Row } from '@sluice/contracts/values'
import { isLongTurn, nextTurn } from '@sluice/flow/sleep'
import type {
  ComparedStream,
  OpenedStream,
  SliceBounds,
  StreamBreak,
  StreamColumns,
  StreamReader,
  StreamSlice,
  StreamSource,
} from '../stream-port.ts'
import { quoteIdentifier } from './duckdb/types.ts'
import { connectError, createSnapshotSource, POSTGRES_SQL } from './postgres.ts'
import { compositesAsJson, printAsQueries } from './postgres/composite-json.ts'
import { connect } from './postgres/connection.ts'
import { DecodedLog, type Composite } from './postgres/decoded-log.ts'
import {
  breakOf,
  broken,
  closeConnection,
  type Connected,
  FollowedServer,
  type FollowedServerOptions,
  followError,
  type TableLog,
} from './postgres/followed-server.ts'
import type { FollowedTable } from './postgres/followed-table.ts'
import { lsnOf, lsnText } from './postgres/pgoutput.ts'
import { exportSnapshot, keepSlot, onceFree, releaseAll, takeSlot } from './postgres/publication-and-slot.ts'
import { ReplicationStream } from './postgres/replication-stream.ts'
import type { ChangesQuery } from './query/changes-query.ts'
import { extractSelected } from './query/select-from-table.ts'
import type { ServerAccess } from './server/access.ts'
import { serverMessage } from './server/errors.ts'

/**
 * An idle reader tells its position after this many bytes of other tables, so that the server forgets them.
 */
const IDLE_BYTES = 1_048_576n

interface Signalled {
  readonly signal: AbortSignal
}

/** Makes a source of followed tables. Throws `config` if the source has no `follow`. */
export function createPostgresStreamSource(options: FollowedServerOptions): StreamSource {
  return new PostgresStreamSource(new FollowedServer(options, { sql: POSTGRES_SQL, connectError }))
}

class PostgresStreamSource implements StreamSource {
  readonly #server: FollowedServer

  constructor(server: FollowedServer) {
    this.#server = server
  }

  async describe(model: ModelSpec, { signal }: Signalled): Promise<StreamColumns> {
    const {
      columns: own,
      mayLack,
      query,
    } = await this.#server.run(signal, ({ client }) => this.#server.table(client, model))
    await query?.[Symbol.asyncDispose]()
    const columns = query?.columns ?? own
    return { columns: columns.map(({ name, type }) => ({ name, type })), mayLack }
  }

  async open(model: ModelSpec, from: StreamPosition | null, { signal }: Signalled): Promise<OpenedStream> {
    const reader = new PostgresReader(this.#server, model, from)
    if (from === null)
      await this.#server.run(signal, async connected => {
        const { table } = await this.#server.prepare(connected, model)
        await table.query?.[Symbol.asyncDispose]()
        reader.startWith(table)
        await takeSlot(connected.client, connected.follow)
      })
    else {
      const found = await reader.begin(signal, { takesOver: true })
      if (found !== null) return found
    }
    return { kind: 'reader', reader }
  }

  async check(model: ModelSpec, { signal }: Signalled): Promise<void> {
    await this.#server.run(signal, connected => this.#server.check(connected, model))
  }

  async release(_: ModelSpec, { signal }: Signalled): Promise<void> {
    await this.#server.run(signal, ({ client, follow }) => releaseAll(client, follow))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

/** A connection on which the log is read. */
interface Running {
  readonly connected: Connected
  readonly stream: ReplicationStream
  /** Ends the watch over the log. */
  readonly over: AbortController
}

/** States: behind a position, or broken off. A connection that is lost is opened anew by the next call. */
class PostgresReader implements StreamReader {
  readonly #server: FollowedServer
  readonly #model: ModelSpec
  readonly #opened: Pick<StreamPosition, 'epoch' | 'model'>
  #history = ''
  #log: DecodedLog | null = null
  #running: Running | null = null
  #broken: StreamBreak | null = null
  /** The position that the caller knows, and the one that it has acknowledged; 0 if there is none. */
  #told = 0n
  #flushed = 0n
  /** A connection that makes JSON of composite values. */
  #converting: Client | null = null
  #query: ChangesQuery | null = null
  /** The caller knows that entries may lack these columns. */
  #mayLack: readonly string[] | null = null

  constructor(server: FollowedServer, model: ModelSpec, from: StreamPosition | null) {
    this.#server = server
    this.#model = model
    this.#opened = { epoch: from?.epoch ?? 0, model: from?.model ?? '' }
    if (from === null) this.#broken = notCompared()
    else this.#goOn(from)
  }

  #goOn({ history, partitions }: StreamPosition): void {
    const [{ offset, highest } = { offset: '0/0', highest: null }] = partitions
    this.#history = history
    this.#log = new DecodedLog({ offset: lsnOf(offset), highest })
    this.#told = lsnOf(offset)
    this.#flushed = 0n
    this.#broken = null
  }

  /** The caller knows this table, and what entries of it may lack. */
  startWith({ mayLack }: FollowedTable): void {
    this.#mayLack ??= mayLack
  }

  /**
   * Connects, and reads on where this reader is. Resolves with a break if the log does not go on there. A
   * reader that is opened takes the slot from its predecessor. One whose connection was lost may have a
   * successor.
   */
  async begin(signal: AbortSignal, { takesOver = false } = {}): Promise<StreamBreak | null> {
    const log = this.#log
    if (log === null) return this.#broken
    const connected = await this.#server.connect(signal)
    const { client, follow, names } = connected
    try {
      const found = await this.#server.during(signal, connected, async () => {
        const from = { history: this.#history, offset: log.restart }
        const place = await this.#server.find(connected, this.#model, from)
        if ('kind' in place) return place
        await (takesOver ? takeSlot(client, follow) : keepSlot(client, follow))
        this.startWith(place.table)
        await this.#use(place.table)
        log.follow(place.table)
        const options = { ...follow, from: log.restart }
        const stream = await onceFree(client, () => ReplicationStream.start(client, options)).catch(
          (error: unknown) => breakOf(error, names) ?? Promise.reject(followError(error, names)),
        )
        if ('kind' in stream) return stream
        stream.flushed(this.#flushed)
        const over = new AbortController()
        this.#running = { connected, stream, over }
        this.#watch(place, stream, over.signal)
        return null
      })
      if (found !== null) {
        this.#broken = found
        await closeConnection(client)
      }
      return found
    } catch (error) {
      await this.#stop()
      await closeConnection(client)
      throw error
    }
  }

  /** Breaks off once the log may lack entries. */
  #watch(place: TableLog, { changes }: ReplicationStream, signal: AbortSignal): void {
    const breakOff = (found: StreamBreak): void => {
      if (signal.aborted) return
      this.#broken = found
      changes.notify()
    }
    // It rejects only if it is aborted.
    void this.#server.watch(place, signal).then(breakOff, () => undefined)
  }

  async next(bounds: SliceBounds & Signalled): Promise<StreamSlice | StreamBreak> {
    const { signal, waitMs } = bounds
    let until: number | null = null
    signal.throwIfAborted()
    for (;;) {
      const log = this.#log
      if (log !== null && log.isFull(bounds)) return await this.#slice(log, bounds)
      const found = this.#broken ?? log?.broken ?? null
      if (log === null || found !== null) {
        if (log !== null && log.hasEntries) return await this.#slice(log, bounds)
        return await this.#breakOff(found ?? notCompared())
      }
      const running = this.#running
      if (running === null) {
        if (log.hasEntries) return await this.#slice(log, bounds)
        await this.begin(signal)
        continue
      }
      const { stream } = running
      const seen = stream.changes.version
      const received = stream.take()
      if (received !== null) {
        log.take(received)
        if (!isLongTurn()) continue
        await nextTurn()
        signal.throwIfAborted()
        continue
      }
      if (stream.error !== null) {
        await this.#lostConnection(running, stream.error)
        continue
      }
      if (log.hasEntries) {
        const now = performance.now()
        until ??= now + waitMs
        if (now >= until) return await this.#slice(log, bounds)
        await changed(stream, seen, { signal, ms: until - now })
      } else if (log.isBetween && log.restart - this.#told >= IDLE_BYTES) {
        return await this.#slice(log, bounds)
      } else await stream.changes.after(seen, { signal })
    }
  }

  /**
   * A connection that the server has ended is opened anew. An error of the log itself is a break or rejects.
   */
  async #lostConnection({ connected }: Running, error: Error): Promise<void> {
    await this.#stop()
    const found = breakOf(error, connected.names)
    if (found !== null) this.#broken = found
    else {
      const translated = followError(error, connected.names)
      if (!translated.retryable) throw translated
    }
  }

  async #slice(log: DecodedLog, bounds: SliceBounds & Signalled): Promise<StreamSlice | StreamBreak> {
    const next = log.peek(bounds)
    const composites = next.flatMap(each => each.composites)
    if (composites.length > 0) {
      const found = await this.#convert(composites, bounds.signal)
      if (found !== null) return await this.#breakOff(found)
    }
    const selected = await this.#selected(next, bounds.signal)
    const { entries: all, unreadable, offset, highest } = log.takeEntries(bounds)
    const entries =
      selected === null ? all : all.map(entry => ({ ...entry, row: selected.get(entry.order) ?? null }))
    this.#told = offset
    const partitions = [{ partition: 0, offset: lsnText(offset), highest }]
    return {
      kind: 'slice',
      entries,
      unreadable,
      position: { ...this.#opened, history: this.#history, partitions },
    }
  }

  /** What the model's SQL makes of the rows, by order; null if there is no SQL. */
  async #selected(
    decoded: ReturnType<DecodedLog['peek']>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Row | null> | null> {
    const query = this.#query
    if (query === null) return null
    const rows = decoded.flatMap(({ entry, texts }) =>
      entry === null || texts === null ? [] : [{ entry, texts }],
    )
    if (rows.length === 0) return new Map()
    const made = await query.run(
      rows.map(({ texts }) => texts),
      signal,
    )
    return new Map(rows.map(({ entry }, index) => [entry.order, made[index] ?? null]))
  }

  /** The table is the one that is read from now on. */
  async #use({ query }: FollowedTable): Promise<void> {
    const before = this.#query
    this.#query = query
    await before?.[Symbol.asyncDispose]()
  }

  /** Has JSON made of composite values. Resolves with a break if their type has other fields by now. */
  async #convert(composites: readonly Composite[], signal: AbortSignal): Promise<StreamBreak | null> {
    const { access, names } = this.#server.accessAndNames()
    try {
      const client = (this.#converting ??= await connectAsQueries(access))
      for (const [column, values] of Map.groupBy(composites, each => each.column)) {
        const texts = values.map(({ text }) => text)
        const json = await compositesAsJson(client, column, texts)
        for (const [index, { fill }] of values.entries()) fill(new JsonText(json[index] ?? 'null'))
      }
      return null
    } catch (error) {
      await this.#stopConverting()
      signal.throwIfAborted()
      if (error instanceof DatabaseError && /^(22|42)/.test(error.code ?? ''))
        return broken('columns', `a row type of the table has other fields: ${serverMessage(error, names)}`)
      throw followError(error, names)
    }
  }

  /** Stops to read. A comparison comes next, and the log is read on from its moment. */
  async #breakOff(found: StreamBreak): Promise<StreamBreak> {
    this.#broken = found
    this.#log = null
    await this.#stop()
    return found
  }

  async compare({ file, signal }: { readonly file: string } & Signalled): Promise<ComparedStream> {
    await this.#stop()
    const { options } = this.#server
    return await this.#server.run(signal, async connected => {
      const { client, follow } = connected
      const { table, history } = await this.#server.prepare(connected, this.#model)
      await this.#use(table)
      this.#assertKnown(table)
      const temporary = `sluice_compare_${randomBytes(8).toString('hex')}`
      const { lsn, name } = await exportSnapshot(client, follow, temporary)
      await using source = createSnapshotSource(options, name)
      const whole = wholeTable(this.#model, table)
      const { memoryBytes } = options
      const extract = await (this.#model.sql === undefined
        ? source.extract(whole, { file, signal })
        : extractSelected(source, { whole, model: this.#model }, { file, signal, memoryBytes }))
      const partitions = [{ partition: 0, offset: lsnText(lsn), highest: null }]
      const position = { ...this.#opened, history, partitions }
      this.#goOn(position)
      return { ...extract, position }
    })
  }

  /** The caller has made sure that it keeps the values that entries may lack. */
  #assertKnown({ name, mayLack }: FollowedTable): void {
    const more = mayLack.filter(column => this.#mayLack?.includes(column) === false)
    if (more.length === 0) return
    throw new SluiceError(
      'config',
      `Source ${this.#server.options.spec.name}: by the new REPLICA IDENTITY of ${name}, its log may leave out unchanged values of ${more.join(', ')}: the next run takes that into account.`,
      { retryable: true },
    )
  }

  acknowledged({ partitions }: StreamPosition): void {
    const [place] = partitions
    if (place === undefined) return
    this.#flushed = lsnOf(place.offset)
    this.#running?.stream.flushed(this.#flushed)
  }

  /** The log counts bytes, and no records. */
  lag(): { readonly records: null; readonly oldestCommittedAt: number | null } {
    return { records: null, oldestCommittedAt: this.#log?.oldestCommittedAt ?? null }
  }

  async #stop(): Promise<void> {
    const running = this.#running
    this.#running = null
    if (running === null) return
    running.stream.end()
    running.over.abort()
    await closeConnection(running.connected.client)
  }

  async #stopConverting(): Promise<void> {
    const client = this.#converting
    this.#converting = null
    if (client !== null) await closeConnection(client)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#stop(), this.#stopConverting()])
    await this.#query?.[Symbol.asyncDispose]()
    this.#query = null
  }
}

function notCompared(): StreamBreak {
  return broken('first', 'the table has not been compared yet')
}

async function connectAsQueries(access: ServerAccess): Promise<Client> {
  const client = await connect(access)
  await printAsQueries(client)
  return client
}

/** The query of the columns that the log tells, too. */
function wholeTable({ table: _, ...model }: ModelSpec, { name, columns }: FollowedTable): ModelSpec {
  return {
    ...model,
    sql: `SELECT ${columns.map(column => quoteIdentifier(column.name)).join(', ')} FROM ${name}`,
  }
}

/** Resolves with the next change of the stream, or after `ms`. */
async function changed(
  { changes }: ReplicationStream,
  seen: number,
  { signal, ms }: Signalled & { readonly ms: number },
): Promise<void> {
  const late = AbortSignal.timeout(Math.ceil(ms))
  await changes.after(seen, { signal: AbortSignal.any([signal, late]) }).catch((error: unknown) => {
    signal.throwIfAborted()
    if (!late.aborted) throw error
  })
}
