/**
 * A source that streams, in memory: a table whose changes go to a log of several partitions, as a connector
 * writes them. It passes the suite of streams, and is for tests of what reads one.
 *
 * The order of an entry is its place among all entries, whichever partition it goes to. A key stays in its
 * partition until the log gets more of them.
 */
import { DuckDBInstance } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { StreamPosition } from '@sluice/contracts/records'
import type { ModelSpec } from '@sluice/contracts/resources'
import {
  type Column,
  type ColumnType,
  Decimal,
  JsonText,
  type Row,
  type Value,
} from '@sluice/contracts/values'
import { sqlTypeOf } from '@sluice/domain/canonical-sql'
import { primaryKeyOf } from '@sluice/domain/definition'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import { quoteIdentifier, quoteText } from '../src/adapters/duckdb/types.ts'
import type {
  ComparedStream,
  OpenedStream,
  SliceBounds,
  StreamBreak,
  StreamBreakReason,
  StreamColumns,
  StreamEntry,
  StreamReader,
  StreamSlice,
  StreamSource,
} from '../src/stream-port.ts'

interface Signalled {
  readonly signal: AbortSignal
}

type Logged =
  | ({ readonly kind: 'entry' } & StreamEntry)
  | StreamBreak
  | { readonly kind: 'unreadable'; readonly place: string; readonly why: string }

interface Partition {
  readonly log: Logged[]
  /** The offset of the oldest entry that is still there. */
  start: number
}

export interface MemoryStreamOptions {
  readonly columns: readonly Column[]
  readonly primaryKey: readonly string[]
  readonly partitions?: number
  /** Columns whose values an entry may lack. */
  readonly mayLack?: readonly string[]
  /** The time of a commit, in ms since 1970. */
  readonly now?: () => number
}

export class MemoryStream {
  /** The rows by key, as they are now. */
  readonly table = new Map<string, Row>()
  readonly changes = new Notifier()
  readonly primaryKey: readonly string[]
  readonly mayLack: readonly string[]
  readonly #partitions: Partition[]
  readonly #now: () => number
  #columns: readonly Column[]
  #history = 0
  #order = 0
  /** The columns that the newest entries have. */
  #columnsVersion = 0
  /** The last position that a reader acknowledged. */
  acknowledged: StreamPosition | null = null
  /** When the positions at which it was opened were told, in ms since 1970. */
  readonly openedAt: number[] = []
  /** The number of comparisons so far. */
  comparisons = 0
  /** Awaited by each comparison before it reads the table. */
  beforeComparison: (signal: AbortSignal) => Promise<void> = () => Promise.resolve()
  /** Why nobody can reach it; null if one can. */
  away: SluiceError | null = null
  /** How often it was given up. */
  released = 0
  /** The number of entries that readers have taken. */
  taken = 0

  constructor({ columns, primaryKey, partitions = 1, mayLack = [], now = Date.now }: MemoryStreamOptions) {
    this.#columns = columns
    this.primaryKey = primaryKey
    this.mayLack = mayLack
    this.#now = now
    this.#partitions = Array.from({ length: partitions }, () => ({ log: [], start: 0 }))
  }

  get columns(): readonly Column[] {
    return this.#columns
  }

  get columnsVersion(): number {
    return this.#columnsVersion
  }

  get history(): string {
    return `memory-${this.#history}`
  }

  get partitions(): readonly Readonly<Partition>[] {
    return this.#partitions
  }

  /** The order of the newest entry; null if there was none. */
  get newestOrder(): string | null {
    return this.#order === 0 ? null : orderText(this.#order)
  }

  /** Adds or changes a row. With `lacks`, the entry lets out these columns, since they have not changed. */
  put(row: Row, { lacks = [] }: { readonly lacks?: readonly string[] } = {}): void {
    const key = this.keyOf(row)
    this.table.set(key, row)
    const told = Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, lacks.includes(name) ? null : value]),
    )
    this.#append(key, told, lacks)
  }

  /** Removes a row by its key. */
  remove(key: string): void {
    this.table.delete(key)
    this.#append(key, null, [])
  }

  /** Gives the row of `key` another one. */
  changeKey(key: string, row: Row): void {
    this.remove(key)
    this.put(row)
  }

  /** Changes the table without an entry of a row, and says so in the log. */
  truncate(): void {
    this.table.clear()
    this.#appendBreak('truncated', 'the table was emptied')
  }

  /** Changes rows without entries. A snapshot follows. */
  snapshot(rows: readonly Row[]): void {
    this.table.clear()
    for (const row of rows) this.table.set(this.keyOf(row), row)
    this.#appendBreak('snapshot', 'a snapshot was made')
  }

  /** Adds partitions. */
  grow(count: number): void {
    for (let more = 0; more < count; more += 1) this.#partitions.push({ log: [], start: 0 })
    this.changes.notify()
  }

  /** Forgets all entries so far. */
  forget(): void {
    for (const partition of this.#partitions) partition.start = partition.log.length
    this.changes.notify()
  }

  /** Begins another history: an empty log, whose orders begin anew. */
  anew(): void {
    this.#history += 1
    this.#order = 0
    for (const partition of this.#partitions) {
      partition.log.length = 0
      partition.start = 0
    }
    this.changes.notify()
  }

  /** Sets the columns of the table. */
  setColumns(columns: readonly Column[]): void {
    this.#columns = columns
    this.#columnsVersion += 1
    this.changes.notify()
  }

  /** Writes the newest entries of a partition once more, as a connector does that was killed. */
  repeat(partition: number, count: number): void {
    const log = this.#partitions[partition]?.log ?? []
    log.push(...log.slice(-count))
    this.changes.notify()
  }

  unreadable(why: string): void {
    const log = this.#partitions[0]?.log
    log?.push({ kind: 'unreadable', place: `partition 0, offset ${log.length}`, why })
    this.changes.notify()
  }

  keyOf(row: Row): string {
    const texts = this.primaryKey.map(name => textOf(row[name] ?? null))
    return texts.length === 1 ? (texts[0] ?? '') : JSON.stringify(texts)
  }

  #partitionOf(key: string): number {
    let sum = 0
    for (const letter of key) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 2 ** 31
    return sum % this.#partitions.length
  }

  #append(key: string, row: Row | null, lacks: readonly string[]): void {
    const partition = this.#partitionOf(key)
    this.#order += 1
    this.#partitions[partition]?.log.push({
      ...{ kind: 'entry', key, row, lacks, partition },
      ...{ order: orderText(this.#order), committedAt: this.#now() },
    })
    this.changes.notify()
  }

  #appendBreak(why: StreamBreakReason, detail: string): void {
    this.#order += 1
    this.#partitions[0]?.log.push({ kind: 'break', why, detail })
    this.changes.notify()
  }

  /** Opens the source. Several may be open at once, as in several processes. */
  source(): StreamSource {
    return new MemoryStreamSource(this)
  }
}

function orderText(order: number): string {
  return String(order).padStart(16, '0')
}

class MemoryStreamSource implements StreamSource {
  readonly #stream: MemoryStream

  constructor(stream: MemoryStream) {
    this.#stream = stream
  }

  describe(model: ModelSpec, { signal }: Signalled): Promise<StreamColumns> {
    if (signal.aborted) return Promise.reject(signal.reason)
    if (this.#stream.away !== null) return Promise.reject(this.#stream.away)
    const { columns, mayLack, primaryKey } = this.#stream
    const own = primaryKeyOf(model).length === 0 ? { primaryKey } : {}
    return Promise.resolve({ columns, mayLack, ...own })
  }

  open(
    model: ModelSpec,
    from: StreamPosition | null,
    { signal, toldAt }: Signalled & { readonly toldAt?: number },
  ): Promise<OpenedStream> {
    if (signal.aborted) return Promise.reject(signal.reason)
    if (this.#stream.away !== null) return Promise.reject(this.#stream.away)
    if (toldAt !== undefined) this.#stream.openedAt.push(toldAt)
    const broken = from === null ? null : breakAt(this.#stream, from)
    if (broken !== null) return Promise.resolve(broken)
    return Promise.resolve({ kind: 'reader', reader: new MemoryReader(this.#stream, model, from) })
  }

  release(_model: ModelSpec, { signal }: Signalled): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason)
    this.#stream.released += 1
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

function breakAt(stream: MemoryStream, at: StreamPosition): StreamBreak | null {
  const { partitions } = at
  if (at.history !== stream.history) return broken('history', 'the log is another one')
  if (partitions.length < stream.partitions.length)
    return broken('partitions', `there are ${stream.partitions.length} partitions`)
  const isLost = partitions.some(
    ({ partition, offset }) => Number(offset) < (stream.partitions[partition]?.start ?? 0),
  )
  return isLost ? broken('lost', 'entries are gone') : null
}

function broken(why: StreamBreakReason, detail: string): StreamBreak {
  return { kind: 'break', why, detail }
}

class MemoryReader implements StreamReader {
  readonly #stream: MemoryStream
  readonly #model: ModelSpec
  #position: StreamPosition
  #break: StreamBreak | null
  #columnsVersion: number
  #turn = 0

  constructor(stream: MemoryStream, model: ModelSpec, from: StreamPosition | null) {
    this.#stream = stream
    this.#model = model
    this.#position = from ?? { epoch: 0, history: stream.history, model: '', partitions: [] }
    this.#break = from === null ? broken('first', 'nothing was compared yet') : null
    this.#columnsVersion = stream.columnsVersion
  }

  async next({ rows, bytes, waitMs, signal }: SliceBounds & Signalled): Promise<StreamSlice | StreamBreak> {
    const taken: Taken = { entries: [], unreadable: [], bytes: 0 }
    let late: AbortSignal | null = null
    for (;;) {
      signal.throwIfAborted()
      const seen = this.#stream.changes.version
      if (this.#stream.away !== null) throw this.#stream.away
      const isFull = this.#take(taken, { rows, bytes })
      const hasSome = taken.entries.length + taken.unreadable.length > 0
      if (this.#break !== null && !hasSome) return this.#break
      if (isFull || this.#break !== null || late?.aborted === true)
        return {
          ...{ kind: 'slice', entries: taken.entries, unreadable: taken.unreadable },
          position: this.#position,
        }
      if (!hasSome) {
        await this.#stream.changes.after(seen, { signal })
        continue
      }
      late ??= AbortSignal.timeout(waitMs)
      const first = AbortSignal.any([signal, late])
      await this.#stream.changes.after(seen, { signal: first }).catch(() => sleep(0, { signal }))
    }
  }

  /** Takes what is there, partition after partition. Returns true if the slice is full. */
  #take(taken: Taken, { rows, bytes }: Pick<SliceBounds, 'rows' | 'bytes'>): boolean {
    this.#break ??= breakAt(this.#stream, this.#position)
    if (this.#columnsVersion !== this.#stream.columnsVersion) this.#break ??= broken('columns', 'others')
    let passed = 0
    while (this.#break === null && passed < this.#stream.partitions.length) {
      if (taken.entries.length >= rows || taken.bytes >= bytes) return true
      this.#turn = (this.#turn + 1) % this.#stream.partitions.length
      const logged = this.#step(this.#turn)
      passed = logged === null ? passed + 1 : 0
      if (logged === null || logged === 'repeated') continue
      if (logged.kind === 'break') this.#break = logged
      else if (logged.kind === 'unreadable') taken.unreadable.push(logged)
      else {
        const { kind: _, ...entry } = logged
        taken.entries.push(entry)
        this.#stream.taken += 1
        taken.bytes += entry.key.length + JSON.stringify(entry.row, asText).length
      }
    }
    return taken.entries.length >= rows || taken.bytes >= bytes
  }

  /** Passes one entry of a partition. Stays in front of a break. */
  #step(partition: number): Logged | 'repeated' | null {
    const place = this.#position.partitions.find(each => each.partition === partition)
    const offset = Number(place?.offset ?? 0)
    const logged = this.#stream.partitions[partition]?.log[offset]
    if (place === undefined || logged === undefined || logged.kind === 'break') return logged ?? null
    const isNew = logged.kind === 'entry' && (place.highest === null || logged.order > place.highest)
    this.#position = {
      ...this.#position,
      partitions: this.#position.partitions.map(each =>
        each === place
          ? { partition, offset: String(offset + 1), highest: isNew ? logged.order : place.highest }
          : each,
      ),
    }
    return logged.kind === 'entry' && !isNew ? 'repeated' : logged
  }

  async compare({ file, signal }: { readonly file: string } & Signalled): Promise<ComparedStream> {
    await this.#stream.beforeComparison(signal)
    signal.throwIfAborted()
    const { columns, table, partitions, newestOrder, history, primaryKey } = this.#stream
    const rows = [...table.values()]
    const position = {
      ...this.#position,
      history,
      partitions: partitions.map(({ log }, partition) => ({
        ...{ partition, offset: String(log.length), highest: newestOrder },
      })),
    }
    this.#position = position
    this.#break = null
    this.#columnsVersion = this.#stream.columnsVersion
    this.#stream.comparisons += 1
    await writeRows(file, columns, rows)
    signal.throwIfAborted()
    const own = primaryKeyOf(this.#model).length === 0 ? { primaryKey } : {}
    return { file, columns, rowCount: rows.length, ...own, position }
  }

  acknowledged(position: StreamPosition): void {
    this.#stream.acknowledged = position
  }

  lag(): { readonly records: number | null; readonly oldestCommittedAt: number | null } {
    const unread = this.#position.partitions.flatMap(({ partition, offset }) =>
      (this.#stream.partitions[partition]?.log ?? []).slice(Number(offset)),
    )
    const times = unread.flatMap(each => (each.kind === 'entry' ? (each.committedAt ?? []) : []))
    return { records: unread.length, oldestCommittedAt: times.length === 0 ? null : Math.min(...times) }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

interface Taken {
  readonly entries: StreamEntry[]
  readonly unreadable: { readonly place: string; readonly why: string }[]
  bytes: number
}

function asText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

/** DuckDB is slow to parse texts of this length. */
const LONG_TEXT = 10_000

async function writeRows(file: string, columns: readonly Column[], rows: readonly Row[]): Promise<void> {
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  try {
    const typed = columns.map(({ name, type }) => `${quoteIdentifier(name)} ${sqlTypeOf(type)}`)
    await connection.run(`CREATE TABLE rows (${typed.join(', ')})`)
    for (let at = 0; at < rows.length; at += 1_000) {
      const long: string[] = []
      const some = rows.slice(at, at + 1_000).map(row => {
        const values = columns.map(({ name, type }) => {
          const value = row[name] ?? null
          if (typeof value !== 'string' || value.length < LONG_TEXT) return literal(value, type)
          return `$${long.push(value)}`
        })
        return `(${values.join(', ')})`
      })
      await connection.run(`INSERT INTO rows VALUES ${some.join(', ')}`, long)
    }
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

function literal(value: Value, type: ColumnType): string {
  if (value === null) return 'NULL'
  if (value instanceof Uint8Array) return `unhex('${Buffer.from(value).toString('hex')}')`
  return `CAST(${quoteText(textOf(value))} AS ${sqlTypeOf(type)})`
}

function textOf(value: Value): string {
  if (value instanceof JsonText || value instanceof Decimal) return value.text
  if (typeof value === 'object') throw new SluiceError('internal', 'no such value in a stream in memory')
  return String(value)
}
