/** The index of history in a SQLite file. */
import type {
  AnswerCount,
  AttemptsBatch,
  AttemptSearch,
  AttemptCount,
  FollowedTopic,
  Found,
  FoundAttempt,
  HistoryIndex,
  IndexSize,
  MentionsBatch,
  Place,
  RunPlace,
  SyncLife,
} from '../port.ts'
import { IndexFile, numberOf, textOf } from './sqlite/index-file.ts'
import { attemptsOfRequest, IndexSearch } from './sqlite/search-attempts.ts'
import { BatchStore, keyHash } from './sqlite/store-batch.ts'
import { bytesUsed, sweepPiece } from './sqlite/sweep.ts'

export interface SqliteIndexOptions {
  readonly file: string
  /** The file does not grow far beyond this size, since the oldest attempts are forgotten. */
  readonly maxBytes: number
  readonly keepsBodies: boolean
  /**
   * Called with the reason when an empty file replaces one that was damaged, or that another version wrote.
   */
  readonly onRenew?: (why: string) => void
  /** A search looks at attempts that do not match for at most this long; default 2 s. */
  readonly maxSearchMs?: number
}

/**
 * Opens the index, or makes an empty one. Throws `conflict` if another process has the file, and `disk` if
 * the disk is full or fails.
 */
export function createSqliteIndex(options: SqliteIndexOptions): HistoryIndex {
  return new SqliteIndex(options)
}

class SqliteIndex implements HistoryIndex {
  readonly hasBodies: boolean
  readonly #options: SqliteIndexOptions
  readonly #file: IndexFile
  readonly #batches: BatchStore

  constructor(options: SqliteIndexOptions) {
    this.#options = options
    this.hasBodies = options.keepsBodies
    this.#file = new IndexFile(options.file, options.onRenew ?? (() => undefined))
    this.#batches = new BatchStore(this.#file)
  }

  position(place: Place): number | null {
    return this.#file.use(() => this.#batches.position(place))
  }

  addAttempts(batch: AttemptsBatch): void {
    const { attempts } = batch
    const kept = this.hasBodies ? attempts : attempts.map(attempt => ({ ...attempt, details: null }))
    this.#batches.addAttempts({ ...batch, attempts: kept })
  }

  addMentions(batch: MentionsBatch): void {
    this.#batches.addMentions(batch)
  }

  async search(search: AttemptSearch, options: { readonly signal: AbortSignal }): Promise<Found> {
    try {
      return await new IndexSearch(this.#file, search, this.#options.maxSearchMs).find(options)
    } catch (error) {
      return this.#file.use(() => {
        throw error
      })
    }
  }

  async ofRequest(request: Parameters<HistoryIndex['ofRequest']>[0]): Promise<readonly FoundAttempt[]> {
    return await Promise.resolve(this.#file.use(() => attemptsOfRequest(this.#file, request)))
  }

  async mentions({
    key,
    limit,
    sync,
    incarnation,
  }: Parameters<HistoryIndex['mentions']>[0]): ReturnType<HistoryIndex['mentions']> {
    const rows = this.#file.use(() => {
      const life = this.#batches.lifeOf({ sync, incarnation })
      if (life === null) return []
      return this.#file.all(
        `SELECT p.topic, p.part, m.place_offset FROM mention m JOIN place p ON p.id = m.place
          WHERE m.hash = ? ORDER BY m.at DESC, m.id DESC LIMIT ?`,
        keyHash(life, key),
        limit,
      )
    })
    const mentions = rows.map(row => {
      const topic = textOf(row, 'topic') as FollowedTopic
      const place = { sync, incarnation, topic, partition: numberOf(row, 'part') }
      return { place, offset: numberOf(row, 'place_offset') }
    })
    return await Promise.resolve(mentions)
  }

  run(runId: string): (SyncLife & { readonly number: number }) | null {
    return this.#file.use(() => {
      const row = this.#file.get(
        'SELECT r.number, l.sync, l.incarnation FROM run r JOIN life l ON l.id = r.life WHERE r.run_id = ?',
        runId,
      )
      if (row === undefined) return null
      return {
        sync: textOf(row, 'sync'),
        incarnation: textOf(row, 'incarnation'),
        number: numberOf(row, 'number'),
      }
    })
  }

  async counts({ run }: RunPlace): Promise<readonly AttemptCount[]> {
    const rows = this.#file.use(() =>
      this.#file.all(
        'SELECT second, outcome, bin, count FROM figure WHERE run = (SELECT id FROM run WHERE run_id = ?)',
        run.id,
      ),
    )
    const counts = rows.map(row => ({
      second: numberOf(row, 'second'),
      outcome: textOf(row, 'outcome') as AttemptCount['outcome'],
      bin: numberOf(row, 'bin'),
      count: numberOf(row, 'count'),
    }))
    return await Promise.resolve(counts)
  }

  async answers({ run, limit }: RunPlace & { readonly limit: number }): Promise<readonly AnswerCount[]> {
    const rows = this.#file.use(() =>
      this.#file.all(
        `SELECT k.outcome, k.status, e.text AS error, count(*) AS count
          FROM (SELECT kind, error FROM attempt WHERE run = (SELECT id FROM run WHERE run_id = ?) LIMIT ?) a
          JOIN kind k ON k.id = a.kind LEFT JOIN error e ON e.id = a.error
          GROUP BY k.outcome, k.status, e.text`,
        run.id,
        limit,
      ),
    )
    const counts = rows.map(row => {
      const status = numberOf(row, 'status')
      return {
        outcome: textOf(row, 'outcome') as AnswerCount['outcome'],
        status: status === 0 ? null : status,
        error: row['error'] === null ? null : textOf(row, 'error'),
        count: numberOf(row, 'count'),
      }
    })
    return await Promise.resolve(counts)
  }

  sweep(options: { readonly before: number; readonly lives: readonly SyncLife[] }): boolean {
    return sweepPiece(this.#file, { ...options, maxBytes: this.#options.maxBytes })
  }

  size(): IndexSize {
    const count = (table: string): number =>
      this.#file.use(() => numberOf(this.#file.get(`SELECT count(*) AS count FROM ${table}`), 'count'))
    return { attempts: count('attempt'), mentions: count('mention'), bytes: bytesUsed(this.#file) }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#file.close()
    return Promise.resolve()
  }
}
