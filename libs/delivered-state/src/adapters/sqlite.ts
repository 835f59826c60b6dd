/**
 * The state of a sync over a stream in a SQLite file. A look-up reads a few pages, and the cache of pages
 * bounds the memory, however large the state is (docs/decisions/state-appended.md).
 *
 * States: open ⇄ reset; disposed.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Column } from '@sluice/contracts/values'
import { statusesOf } from '@sluice/domain/answers/status-filter'
import type { EndedKey, StateOptions, StatePositions } from '../port.ts'
import type { Removed, StreamCommand, StreamedKey, StreamFeed, StreamState } from '../stream-port.ts'
import { ABSENT } from './state/shapes.ts'
import { type Cached, CacheTurns } from './stream/cache-turns.ts'
import { bytesOf, keyOf, KnownKeys } from './stream/known-keys.ts'
import { RowShapes } from './stream/row-shapes.ts'
import { openStreamFile, removeStreamFile, type SqlValue, type StreamFile } from './stream/stream-file.ts'
import { loadPositions, loadTotals, positionsAfter, savePositions } from './stream/stream-positions.ts'
import { Taking, type Totals } from './stream/take-feed.ts'

export interface StreamStateOptions extends StateOptions {
  readonly file: string
  /** The states that share a large cache. Default: all of the process. */
  readonly turns?: CacheTurns
}

/** One call of `end` gets up to this many keys. */
const MAX_GONE_KEYS = 4_096

const TURNS = new CacheTurns()

/** Opens the file, or starts an empty one. Throws `conflict` if somebody has it open. */
export function openStreamState(options: StreamStateOptions): StreamState {
  const { file, reason } = openStreamFile(options)
  if (reason !== null) options.onDiscard?.(reason)
  return new SqliteStreamState(options, file)
}

/** An open file, and the facts that were read from it. */
interface Opened {
  readonly file: StreamFile
  readonly shapes: RowShapes
  readonly known: KnownKeys
  readonly positions: StatePositions
  readonly totals: Totals
}

class SqliteStreamState implements StreamState, Cached {
  readonly #options: StreamStateOptions
  readonly #turns: CacheTurns
  #opened: Opened
  #columns: readonly Column[] | null = null

  constructor(options: StreamStateOptions, file: StreamFile) {
    this.#options = options
    this.#turns = options.turns ?? TURNS
    this.#opened = openedFrom(file)
    this.#turns.enter(this)
  }

  setCache(kib: number): void {
    this.#opened.file.setCache(kib)
  }

  positions(): StatePositions {
    return this.#opened.positions
  }

  newestEpoch(): number {
    return this.#opened.totals.epoch
  }

  setColumns(columns: readonly Column[]): void {
    this.#columns = columns
    this.#opened.shapes.setColumns(columns)
  }

  of(keys: readonly string[]): ReadonlyMap<string, StreamedKey> {
    this.#turns.work(this, keys.length)
    const found = new Map<string, StreamedKey>()
    for (const key of keys) {
      const known = this.#opened.known.of(key)
      if (known !== null) found.set(key, known)
    }
    return found
  }

  twinsOf(keys: readonly string[]): ReadonlyMap<string, readonly StreamedKey[]> {
    this.#turns.work(this, keys.length)
    const found = new Map<string, readonly StreamedKey[]>()
    for (const key of keys) {
      const twins = this.#opened.known.twinsOf(key)
      if (twins.length > 0) found.set(key, twins)
    }
    return found
  }

  take(feed: StreamFeed): void {
    const { partition, changes } = feed
    const { file, shapes, positions, totals } = this.#opened
    const { incarnation, partitions } = this.#options
    if (!Number.isInteger(partition) || partition < 0 || partition >= partitions)
      throw new SluiceError('internal', `there is no partition ${partition} of ${partitions}`)
    this.#turns.work(this, changes?.records.length ?? 0)
    const after = positionsAfter(positions, feed)
    const taken = this.#change(() => {
      const taking = new Taking({ file, shapes, incarnation, totals })
      taking.take(feed, positions.changes[partition] ?? 0)
      savePositions(file, after, partition)
      return taking.totals
    })
    this.#opened = { ...this.#opened, positions: after, totals: taken }
  }

  failedBefore(at: number, limit: number): readonly StreamedKey[] {
    return this.#opened.known.select('keys WHERE due < ? ORDER BY due, key LIMIT ?', at, limit)
  }

  oldestFailure(): number | null {
    const due = this.#opened.file.get('SELECT min(due) FROM keys WHERE due IS NOT NULL')?.[0] ?? null
    return due === null ? null : Number(due)
  }

  meant(command: StreamCommand, after: string | null, limit: number): readonly StreamedKey[] {
    this.#turns.work(this, limit)
    const { table, conditions, values } = meantSql(command)
    const behind =
      after === null ? { conditions: [], values: [] } : { conditions: ['key > ?'], values: [bytesOf(after)] }
    const where = [...behind.conditions, ...conditions].join(' AND ')
    const from = `${table} WHERE ${where} ORDER BY key LIMIT ?`
    return this.#opened.known.select(from, ...behind.values, ...values, limit)
  }

  inOrder(after: string | null, limit: number): readonly StreamedKey[] {
    this.#turns.work(this, limit)
    const { known } = this.#opened
    if (after === null) return known.select('keys ORDER BY key LIMIT ?', limit)
    return known.select('keys WHERE key > ? ORDER BY key LIMIT ?', bytesOf(after), limit)
  }

  count(): ReturnType<StreamState['count']> {
    const { believed, failed } = this.#opened.totals
    return { believed, failed }
  }

  removedSince(at: number): readonly Removed[] {
    const found = this.#opened.file.all(REMOVED, at).map(values => values.map(Number))
    return found.map(([last = 0, removed = 0, absent = 0]) => ({ at: last, removed, absent }))
  }

  async endGone(
    before: number,
    end: (keys: readonly EndedKey[]) => Promise<void>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    let last: readonly SqlValue[] = [-1, new Uint8Array(), -1]
    for (;;) {
      signal.throwIfAborted()
      const found = this.#opened.file.all(GONE, before, ...last, MAX_GONE_KEYS)
      if (found.length === 0) return
      const keys = found.map(([, key, partition]) => ({ partition: Number(partition), key: keyOf(key) }))
      await end(keys)
      last = found.at(-1) ?? last
      const { file, shapes, totals } = this.#opened
      const left = this.#change(() => {
        const taking = new Taking({ file, shapes, incarnation: this.#options.incarnation, totals })
        taking.forget(keys)
        return taking.totals
      })
      this.#opened = { ...this.#opened, totals: left }
    }
  }

  reset(): void {
    const { file } = this.#opened
    file.close()
    removeStreamFile(this.#options.file)
    this.#opened = openedFrom(openStreamFile(this.#options).file)
    if (this.#columns !== null) this.#opened.shapes.setColumns(this.#columns)
    this.#turns.leave(this)
    this.#turns.enter(this)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#turns.leave(this)
    this.#opened.file.close()
    return Promise.resolve()
  }

  #change<T>(work: () => T): T {
    const { file, shapes } = this.#opened
    try {
      return file.transaction(work)
    } catch (error) {
      shapes.reload()
      throw error
    }
  }
}

/** Keys whose last change is a removal, by times of ten seconds. A settled change has no outcome. */
const REMOVED = `SELECT max(g.since), count(*), sum(k.kind = ${ABSENT}) FROM gone g
  JOIN keys k ON k.key = g.key AND k.partition = g.partition
  WHERE g.since >= ? AND k.outcome IS NOT NULL GROUP BY g.since / 10000 ORDER BY 1`

/** Keys that are gone from a partition, and of which nothing is known there. */
const GONE = `SELECT g.since, g.key, g.partition FROM gone g
  WHERE g.since < ? AND (g.since, g.key, g.partition) > (?, ?, ?) AND NOT EXISTS (
    SELECT 1 FROM keys k WHERE k.key = g.key AND k.partition = g.partition
      AND (k.kind <> ${ABSENT} OR k.muted IS NOT NULL OR k.open > 0 OR k.has_captured = 1))
  ORDER BY g.since, g.key, g.partition LIMIT ?`

const ENTRY = `FROM entries e WHERE e.key = keys.key AND e.partition = keys.partition ORDER BY lost DESC LIMIT 1`

/** Returns SQL for the keys that the command is about. */
function meantSql(command: StreamCommand): {
  readonly table: string
  readonly conditions: readonly string[]
  readonly values: readonly SqlValue[]
} {
  const { kind, upTo, upToSlices, key, status, group = null } = command
  // A key without a change counts as of the first run.
  const conditions = ['(run IS NULL OR run <= ?)']
  const values: SqlValue[] = [upTo]
  if (upToSlices !== null) {
    conditions.push('(run IS NULL OR run < ? OR slice <= coalesce(? ->> partition, 0))')
    values.push(upTo, JSON.stringify(upToSlices))
  }
  if (key !== null) {
    conditions.push('key = ?')
    values.push(bytesOf(key))
  }
  if (status !== null) {
    const { from, to } = statusesOf(status)
    conditions.push(`(SELECT e.status ${ENTRY}) BETWEEN ? AND ?`)
    values.push(from, to)
  }
  if (group !== null) {
    const isReason = group.reason === null ? '' : 'e.reason = ? AND'
    conditions.push(`(SELECT ${isReason} e.since <= ? ${ENTRY})`)
    values.push(...(group.reason === null ? [] : [group.reason]), group.lastSince)
  }
  if (kind === 'resync') return { table: 'keys', conditions, values }
  return { table: 'keys INDEXED BY keys_open', conditions: ['open > 0', ...conditions], values }
}

function openedFrom(file: StreamFile): Opened {
  try {
    const shapes = new RowShapes(file)
    const known = new KnownKeys(file, shapes)
    return { file, shapes, known, positions: loadPositions(file), totals: loadTotals(file) }
  } catch (error) {
    file.close()
    throw error
  }
}
