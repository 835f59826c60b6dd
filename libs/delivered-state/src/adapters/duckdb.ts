/**
 * The delivered state of a sync in a DuckDB file. SQL does all work on rows, by operations on sets. However
 * large the state is, DuckDB's limit and one chunk bound the memory.
 *
 * States: open (nothing fed) ⇄ fed (records are staged, to be committed); disposed. A diff that was found
 * while open stays readable until the next call.
 */
import { interruptible } from '@sluice/flow/interruptible'
import type { DuckDBConnection } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type {
  ChangeBatch,
  DeliveredState,
  Diff,
  DiffRequest,
  EndedKey,
  NewRows,
  PublishedRun,
  ReplayedRow,
  StateFeed,
  StatePositions,
  StateOptions,
} from '../port.ts'
import {
  COPIED,
  countsOf,
  EXTRACTED,
  findChanges,
  findInvalidRows,
  type FoundChanges,
  keyColumns,
  openExtract,
  removedSamples,
  SAMPLES,
} from './diff/find-changes.ts'
import { forgetGone, goneKeys } from './state/stored-rows.ts'
import { keyColumnsSql } from './state/key-columns.ts'
import { knownTypesSql, withKnownTypes } from './state/known-columns.ts'
import { type Keeping, keepRun, keptIn } from './feed/kept-run.ts'
import { mergeFeed } from './feed/merge-feed.ts'
import { GATHERED, LOOSE, orderChanges, pieceTables } from './diff/order-changes.ts'
import { asChanges, readChanges } from './diff/read-changes.ts'
import { fillHashes, RowHash } from './diff/row-hash.ts'
import { COPIED_ROWS } from './diff/read-new-rows.ts'
import { believedKeys, diffReplayed } from './diff/replayed-rows.ts'
import { VECTOR_ROWS } from './diff/row-slices.ts'
import { TWIN_TABLES } from './diff/twin-keys.ts'
import { comparedColumns, StateMemory } from './state/state-memory.ts'
import { Shapes } from './state/shapes.ts'
import { quoteText } from './sql/sql-types.ts'
import { FeedStaging } from './feed/stage-feed.ts'
import {
  asStateError,
  createStateFile,
  openStateFile,
  removeStateFile,
  type SharedInstance,
  type StateFile,
  type StateFileOptions,
} from './state/state-file.ts'
import {
  hashIn,
  inTransaction,
  loadPositions,
  metaSql,
  noPositions,
  readMeta,
  runInTransaction,
} from './state/state-meta.ts'
import { rowsOf } from './sql/rows-of.ts'

/** One call of `end` gets up to this many keys. */
const MAX_GONE_KEYS = 4096

export interface DeliveredStateOptions extends StateOptions {
  readonly file: string
  /**
   * The limit of memory, as DuckDB writes sizes. With the default of 192MB, a whole process stays below 700
   * MB for five million rows. DuckDB writes data that does not fit to files beside the state's.
   */
  readonly memoryLimit?: string
  /**
   * Default 1, since the rest of the process needs the other cores, and two threads cost a third more CPU
   * time. Only a diff takes two.
   */
  readonly threads?: number
  /** The number of changes that are joined to their rows at once. Default 65,536. */
  readonly pieceRows?: number
  /** The number of keys that are compared at once. Default: as many as fit into memory. */
  readonly joinedKeys?: number
  /** The instance that states share, one after the other. Absent: the state opens one of its own. */
  readonly shared?: SharedInstance | undefined
}

/**
 * Opens the state's file, or starts an empty one. Throws `conflict` if another process has it open.
 */
export async function openDeliveredState(options: DeliveredStateOptions): Promise<DeliveredState> {
  const full = { memoryLimit: '192MB', threads: 1, pieceRows: 65_536, ...options }
  const { file, fresh, reason } = await openStateFile(full)
  if (reason !== null) options.onDiscard?.(reason)
  try {
    const feed = fresh ? newFeed : loadFeed
    return new DuckdbDeliveredState(full, file, await feed(file.connection, full.partitions))
  } catch (error) {
    await file.close()
    throw error
  }
}

const NEVER = new AbortController().signal

type OpenedOptions = StateFileOptions & { readonly pieceRows: number; readonly joinedKeys?: number }

/** The data that a feed needs to go on. */
interface Feed {
  readonly shapes: Shapes
  readonly stage: FeedStaging
  positions: StatePositions
  hash: RowHash | null
}

/** Returns the data that `loadFeed` would read in a new file. */
async function newFeed(connection: DuckDBConnection, partitions: number): Promise<Feed> {
  const shapes = new Shapes()
  const stage = await FeedStaging.open(connection, shapes)
  return { shapes, stage, positions: noPositions(partitions), hash: null }
}

async function loadFeed(connection: DuckDBConnection, partitions: number): Promise<Feed> {
  const shapes = await Shapes.load(connection)
  const meta = await readMeta(connection)
  return {
    shapes,
    stage: await FeedStaging.open(connection, shapes),
    positions: { ...(await loadPositions(connection, partitions, meta)), kept: keptIn(meta) },
    hash: hashIn(meta),
  }
}

class DuckdbDeliveredState implements DeliveredState {
  readonly #options: OpenedOptions
  #file: StateFile
  #memory: StateMemory
  #feed: Feed
  /** The positions after the staged records. */
  #staged: StatePositions
  /** True while the tables of a diff exist. */
  #hasDiff = false
  /** The number of rows of each row group that is written. */
  #groupRows = VECTOR_ROWS
  /** The results of the open diff; null for a replay's, and if none is open. */
  #diffed: Pick<Keeping, 'request' | 'found' | 'hash'> | null = null
  /** True if the next commit merges the rows that are kept. */
  #takesKept = false
  /**
   * SQL that deletes the keys whose tombstones are written. It runs only after the open diff has ended: a
   * write may make DuckDB rewrite the file, which changes the row ids by which the diff finds its rows.
   */
  #forget: string | null = null
  /** The tables with the current piece of the diff's changes. */
  #pieces: readonly string[] = []
  /** Counts up with each call that ends an earlier diff. */
  #epoch = 0
  #disposed = false

  constructor(options: OpenedOptions, file: StateFile, feed: Feed) {
    this.#options = options
    this.#file = file
    this.#memory = new StateMemory(file.connection, options)
    this.#feed = feed
    this.#staged = feed.positions
  }

  positions(): Promise<StatePositions> {
    return Promise.resolve(this.#feed.positions)
  }

  async reset(): Promise<void> {
    await this.#endDiff().catch(() => {})
    this.#forget = null
    await this.#feed.stage.close()
    await this.#file.close()
    await removeStateFile(this.#options.file)
    this.#file = await createStateFile(this.#options)
    this.#groupRows = VECTOR_ROWS
    this.#memory = new StateMemory(this.#file.connection, this.#options)
    this.#feed = await newFeed(this.#file.connection, this.#options.partitions)
    this.#staged = this.#feed.positions
    this.#takesKept = false
  }

  async feed({ partition, changes, retry, lost, captured }: StateFeed): Promise<void> {
    if (!Number.isInteger(partition) || partition < 0 || partition >= this.#options.partitions)
      throw new SluiceError('internal', `there is no partition ${partition} of ${this.#options.partitions}`)
    await this.#guarded(async () => {
      await this.#endDiff()
      const { stage } = this.#feed
      if (changes !== undefined) {
        const from = this.#staged.changes[partition] ?? 0
        const news = changes.records.filter(record => record.offset >= from)
        const wasWide = stage.isWide
        await stage.addChanges(partition, news)
        if (stage.isWide && !wasWide) await this.#memory.whileStagingWide()
        const last = news.findLast(record => record.change !== null)
        if (last !== undefined)
          this.#advance('lastChange', partition, {
            offset: last.offset,
            run: last.change.run,
            seq: last.change.seq,
          })
        this.#advance('changes', partition, Math.max(from, changes.nextOffset))
      }
      if (retry !== undefined) {
        await stage.addEntries('retry', partition, retry.records)
        this.#advance('retry', partition, retry.nextOffset)
      }
      if (lost !== undefined) await stage.addEntries('doubts', partition, lost)
      if (captured !== undefined) {
        await stage.addCaptured(partition, captured.records)
        this.#advance('captured', partition, captured.nextOffset)
      }
    })
  }

  async commit({ signal = NEVER, fedFor }: Parameters<DeliveredState['commit']>[0] = {}): Promise<void> {
    signal.throwIfAborted()
    if (fedFor !== undefined) this.#staged = { ...this.#staged, fedFor }
    await this.#interruptible(signal, async () => {
      await this.#endDiff()
      const { connection } = this.#file
      const { shapes, stage, hash } = this.#feed
      await stage.flush()
      const staged = stage.characters
      const makeRoom = (rows: number, bytes: number): Promise<void> =>
        this.#memory.toMerge({ rows, bytes, staged })
      const useGroups = (groupRows: number): Promise<void> => this.#useGroups(groupRows)
      const kept = this.#feed.positions.kept === null ? 'none' : this.#takesKept ? 'taken' : 'left'
      const rooms = { makeRoom, groupRows: this.#groupRows, useGroups, kept } as const
      const { isMerged, isWide } = await mergeFeed({
        ...{ connection, shapes, hash, positions: this.#staged, signal },
        ...{ ...rooms, hasRecords: staged > 0 },
      })
      // Positions alone are written with the next rows, or when the file is closed.
      if (isMerged) await this.#file.checkpoint()
      this.#staged = { ...this.#staged, kept: null }
      this.#takesKept = false
      this.#feed.positions = this.#staged
      await stage.clear()
      if (isWide) await this.#file.attachAgain(this.#groupRows)
      await this.#memory.letGo()
    })
  }

  async endGone(
    before: number,
    end: (keys: readonly EndedKey[]) => Promise<void>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    const { connection } = this.#file
    try {
      for (let behind = -1; ;) {
        signal.throwIfAborted()
        const wanted = { before, behind, limit: MAX_GONE_KEYS }
        const { keys, last } = await this.#guarded(() => goneKeys(connection, wanted))
        if (keys.length === 0) return
        await end(keys)
        behind = last
        this.#forget = forgetGone({ before, last })
      }
    } finally {
      if (!this.#hasDiff) await this.#forgetEnded()
    }
  }

  async keep(published: PublishedRun): Promise<boolean> {
    const { signal } = published
    const diffed = this.#diffed
    if (diffed === null) throw new SluiceError('internal', 'no diff is open whose rows could be kept')
    const { connection } = this.#file
    const { shapes } = this.#feed
    return await this.#interruptible(signal, async () => {
      await this.#memory.letGo()
      const useGroups = (groupRows: number): Promise<void> => this.#useGroups(groupRows)
      if (!(await keepRun({ ...diffed, connection, shapes, useGroups }, published))) return false
      await this.#file.checkpoint()
      this.#staged = { ...this.#feed.positions, kept: keptIn(await readMeta(connection)) }
      this.#feed.positions = this.#staged
      return true
    })
  }

  feedKept(lastChange: StatePositions['lastChange']): void {
    const { kept } = this.#feed.positions
    if (kept === null) throw new SluiceError('internal', 'there are no kept rows to feed')
    this.#takesKept = true
    this.#staged = { ...this.#staged, changes: kept.partitions.map(({ end }) => end), lastChange }
  }

  async lastUncertain(): ReturnType<DeliveredState['lastUncertain']> {
    const sql = 'SELECT partition, run, max(seq) FROM doubts GROUP BY ALL'
    const result = await this.#guarded(() => rowsOf(this.#file.connection, sql))
    return result.map(row => {
      const [partition = 0, run = 0, seq = 0] = row.map(Number)
      return { partition, run, seq }
    })
  }

  async believed(keys: readonly string[]): Promise<ReadonlySet<string>> {
    return await this.#guarded(() => believedKeys(this.#file.connection, keys))
  }

  async takeReplayed(rows: readonly ReplayedRow[]): Promise<void> {
    await this.#guarded(() => this.#feed.stage.addReplayed(rows))
  }

  async diff(asked: DiffRequest): Promise<Diff> {
    const { signal } = asked
    signal.throwIfAborted()
    keyColumns(asked)
    const epoch = ++this.#epoch
    return await this.#interruptible(signal, async () => {
      await this.#endDiff()
      this.#epoch = epoch
      this.#hasDiff = true
      await this.#feed.stage.flush()
      const { connection } = this.#file
      await connection.run(`ATTACH ${quoteText(asked.extractFile)} AS extract (TYPE duckdb, READ_ONLY)`)
      const measured = await this.#memory.ofDiff(asked)
      const meta = await readMeta(connection)
      const known = await withKnownTypes(connection, asked, { hasRows: measured.rows > 0, meta })
      const { request } = known
      if (request.purpose?.kind === 'replay')
        return await diffReplayed(connection, request, found => this.#read(found, signal, epoch))
      await openExtract(connection, known)
      const hasStored = measured.stored.length > 0
      const { sync } = this.#options
      const keySql = await keyColumnsSql(connection, known, { sync, hasStored })
      const hash = await this.#useHash(request, { hasStored, remember: keySql + knownTypesSql(known) })
      const invalid = await findInvalidRows(connection, request, tokenBytes =>
        this.#memory.partsFor(tokenBytes),
      )
      const { shapes } = this.#feed
      const found = await findChanges(connection, request, {
        hash,
        shapes: shapes.all,
        ambiguous: invalid.ambiguous,
        slices: measured.slices,
        isSmall: measured.isSmall,
        parts: invalid.parts,
      })
      this.#diffed = { request, found, hash }
      return {
        columns: request.columns,
        retyped: known.retyped,
        rowsRead: measured.rows,
        rowsInvalid: invalid.rows + found.oversize.rows,
        invalidSamples: [...invalid.samples, ...found.oversize.samples].slice(0, SAMPLES),
        counts: countsOf(request, found),
        settled: found.settled.rows,
        removalsFirst: found.sendsTwins,
        keysBefore: hasStored ? await this.#count('state WHERE kind > 0') : 0,
        adopted: found.adopted,
        muted: found.muted,
        undecided: found.undecided,
        removedSamples: await removedSamples(connection, found),
        changes: () => asChanges(this.#changes(request, found, { epoch, byColumn: false })),
        changesByColumn: () => this.#changes(request, found, { epoch, byColumn: true }),
      }
    }).finally(() => this.#memory.usualThreads())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return
    this.#disposed = true
    await this.#endDiff({ closes: true }).catch(() => {})
    await this.#feed.stage.close()
    await this.#file.close()
  }

  async #useGroups(groupRows: number): Promise<void> {
    if (groupRows === this.#groupRows) return
    this.#feed.stage.unprepare()
    await this.#file.attachAgain(groupRows)
    this.#groupRows = groupRows
  }

  /**
   * Gives every stored row a hash over the columns that are compared now. Runs the SQL `remember` in the same
   * transaction.
   */
  async #useHash(
    request: DiffRequest,
    { hasStored, remember }: { readonly hasStored: boolean; readonly remember: string },
  ): Promise<RowHash> {
    const { connection } = this.#file
    const columns = comparedColumns(request)
    const hash = new RowHash(columns)
    const isKnown = this.#feed.hash?.spec === hash.spec
    const shapes = this.#feed.shapes.all
    const spec = isKnown ? '' : metaSql('hash', JSON.stringify({ spec: hash.spec, columns }))
    const meta = remember + spec
    // One transaction: hashes find their rows by row ids, which a commit between two statements could change.
    // If hashes over other columns counted as present, every row would seem to have changed.
    if (hasStored)
      await inTransaction(connection, async () => {
        await fillHashes(connection, { hash, shapes, all: !isKnown })
        if (meta !== '') await connection.run(meta)
      })
    else if (meta !== '') await runInTransaction(connection, meta)
    this.#feed.hash = hash
    return hash
  }

  async *#changes(
    request: DiffRequest,
    found: FoundChanges,
    { epoch, byColumn }: { readonly epoch: number; readonly byColumn: boolean },
  ): AsyncGenerator<ChangeBatch | NewRows> {
    const { signal } = request
    this.#assertCurrent(epoch, signal)
    const { connection } = this.#file
    await this.#interruptible(signal, () => orderChanges(connection))
    await this.#memory.whilePublishing()
    this.#pieces = pieceTables(request.columns).map(({ name }) => name)
    const reading = { found, pieceRows: this.#options.pieceRows, byColumn }
    yield* this.#read(readChanges(connection, request.columns, reading), signal, epoch)
  }

  async *#read<B>(batches: AsyncGenerator<B>, signal: AbortSignal, epoch: number): AsyncGenerator<B> {
    try {
      for (;;) {
        this.#assertCurrent(epoch, signal)
        const next = await this.#interruptible(signal, () => batches.next())
        if (next.done === true) return
        yield next.value
      }
    } finally {
      await batches.return(undefined)
    }
  }

  #assertCurrent(epoch: number, signal: AbortSignal): void {
    if (this.#epoch !== epoch || this.#disposed)
      throw new SluiceError('internal', 'a later call has ended this diff')
    signal.throwIfAborted()
  }

  /** Removes the tables of a diff. A connection that closes removes its temporary tables itself. */
  async #endDiff({ closes = false } = {}): Promise<void> {
    this.#epoch++
    if (!this.#hasDiff) return
    this.#hasDiff = false
    this.#diffed = null
    const { connection } = this.#file
    const tables = [
      COPIED,
      ...this.#pieces,
      ...['found', 'model', 'ordered', 'places', 'known', 'collected', 'piece', 'sizes', 'ambiguous'],
      ...[COPIED_ROWS, LOOSE, GATHERED],
      ...TWIN_TABLES,
    ]
    const drops = tables.map(table => `DROP TABLE IF EXISTS temp.${table};`)
    const drop = closes ? '' : `DROP VIEW IF EXISTS temp.${EXTRACTED}; ${drops.join(' ')}`
    await connection.run(`${drop} DETACH DATABASE IF EXISTS extract`)
    await this.#forgetEnded()
    await this.#memory.letGo()
  }

  async #forgetEnded(): Promise<void> {
    const forget = this.#forget
    this.#forget = null
    if (forget !== null) await this.#guarded(() => this.#file.connection.run(forget))
  }

  #advance<K extends Exclude<keyof StatePositions, 'fedFor' | 'kept'>>(
    name: K,
    partition: number,
    value: StatePositions[K][number],
  ): void {
    const values = [...this.#staged[name]]
    values[partition] = value
    this.#staged = { ...this.#staged, [name]: values }
  }

  async #count(from: string): Promise<number> {
    const result = await rowsOf(this.#file.connection, `SELECT count(*) FROM ${from}`)
    return Number(result[0]?.[0])
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw asStateError(error, this.#options.file)
    }
  }

  /** Does the same as `#guarded`, and interrupts DuckDB when the signal aborts. */
  #interruptible<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return interruptible(this.#file.connection, signal, () => this.#guarded(work))
  }
}
