/**
 * The limits of one machine as a SQLite file, so that they outlive processes. A grant is written before it
 * goes to the caller. A write that the operating system has accepted survives `kill -9` of the process. The
 * file may count more permits than were used, and never fewer. If a limit is large, the grants of a span of
 * time share a row, which is written with a reserve, and corrected by a later write. So most grants write
 * nothing.
 */
import { DatabaseSync } from 'node:sqlite'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import { isSqliteDiskCode } from '@sluice/domain/disk-failure'
import type { StoredBreaker } from './breaker.ts'
import type { GrantEntry, SlidingWindow, StoredRow } from './sliding-window.ts'

const FORMAT_VERSION = 1
/** Expired rows are removed no more often than once in this time. */
const PRUNE_EVERY_MS = 1000
/**
 * Pages in the write-ahead log before SQLite moves them into the file. That syncs the disk, and holds up
 * everything for a moment.
 */
const CHECKPOINT_PAGES = 4000
/** The file keeps the markers of this many partitions. If there are more, it keeps the latest markers. */
export const OWNERS_KEPT = 10_000
/** The reserve of a row, as a share of its limit. */
const RESERVE_SHARE = 1 / 64
/** Entries go into one row for this share of their window. */
const ROW_SHARE = 1 / 16

const SCHEMA = `
  create table if not exists grants (
    id integer primary key, scope text not null, window_ms real not null,
    until_ms real not null, permits integer not null, expires_ms real not null);
  create index if not exists grants_expiring on grants (expires_ms);
  create table if not exists pauses (scope text primary key, until_ms real not null);
  create table if not exists holders (partition text primary key, marker integer not null);
  create table if not exists breakers (
    scope text primary key, failures integer not null, opened_at real not null, paused_until real not null,
    failed_probes integer not null, last_probe_at real);`

export interface StoredWindow {
  readonly scope: string
  readonly windowMs: number
  readonly entries: GrantEntry[]
}

export interface StoredLimits {
  readonly windows: readonly StoredWindow[]
  readonly pauses: ReadonlyMap<string, number>
  readonly owners: ReadonlyMap<string, number>
  readonly breakers: ReadonlyMap<string, StoredBreaker>
}

/**
 * Methods throw `disk` if the disk is full or fails, since another attempt does not help. For other failures
 * they throw `unreachable` (retryable). In both cases they have written nothing to the file.
 */
export class LimitsFile {
  readonly #path: string
  readonly #db: DatabaseSync
  readonly #begin
  readonly #commit
  readonly #insert
  readonly #update
  readonly #delete
  #prunedMs = 0
  /** The rows with more permits than were used. */
  readonly #overstated = new Set<StoredRow>()
  /**
   * For each window with a large limit, the row that its entries go into, and the time until which they do.
   */
  readonly #open = new WeakMap<SlidingWindow, { readonly row: StoredRow; readonly toMs: number }>()
  readonly #longestLifeMs: number

  /**
   * A permit stays unused for `longestLifeMs` at most. Throws `conflict` if another process has the file, and
   * `corrupt` if it is no file of limits.
   */
  constructor(path: string, longestLifeMs: number) {
    this.#path = path
    this.#longestLifeMs = longestLifeMs
    this.#db = open(path)
    this.#begin = this.#db.prepare('begin immediate')
    this.#commit = this.#db.prepare('commit')
    this.#insert = this.#db.prepare(
      'insert into grants (scope, window_ms, until_ms, permits, expires_ms) values (?, ?, ?, ?, ?)',
    )
    this.#update = this.#db.prepare(
      'update grants set permits = ?, until_ms = ?, expires_ms = ? where id = ?',
    )
    this.#delete = this.#db.prepare('delete from grants where id = ?')
  }

  /**
   * Reads the grants that still count at `nowMs`. Later times come from a clock that was set back, and count
   * from now.
   */
  load(nowMs: number): StoredLimits {
    const windows = new Map<string, StoredWindow>()
    const rows = this.#db
      .prepare('select * from grants where expires_ms > ? order by until_ms, id')
      .all(nowMs)
    for (const row of rows) {
      const scope = String(row['scope'])
      const windowMs = Number(row['window_ms'])
      const window = windows.get(`${windowMs} ${scope}`) ?? { scope, windowMs, entries: [] }
      windows.set(`${windowMs} ${scope}`, window)
      const untilMs = Number(row['until_ms'])
      const permits = Number(row['permits'])
      const stored: StoredRow = { rowId: Number(row['id']), permits, untilMs, entries: [], isGone: false }
      const lastMs = Math.min(untilMs, nowMs)
      const entry = { firstMs: -Infinity, lastMs, permits, expired: false, stored }
      stored.entries.push(entry)
      window.entries.push(entry)
    }
    const pauses = this.#db.prepare('select scope, until_ms from pauses where until_ms > ?').all(nowMs)
    const owners = this.#db.prepare('select partition, marker from holders order by rowid').all()
    const breakers = this.#db.prepare('select * from breakers').all()
    return {
      windows: [...windows.values()],
      pauses: new Map(pauses.map(row => [String(row['scope']), Number(row['until_ms'])])),
      owners: new Map(owners.map(row => [String(row['partition']), Number(row['marker'])])),
      breakers: new Map(breakers.map(row => [String(row['scope']), breakerOf(row)])),
    }
  }

  /**
   * Writes the entries that a grant went into, as one transaction. It writes nothing if the rows have enough
   * permits already.
   */
  storeGrant(grants: readonly Granted[], nowMs: number): void {
    for (const grant of grants) this.#join(grant, nowMs)
    const writes = grants.filter(({ entry }) => !isCovered(entry))
    if (writes.length === 0) return
    // Entries change in memory once the transaction is committed.
    const known: (() => void)[] = []
    this.#transaction(() => {
      for (const grant of writes) known.push(this.#storeEntry(grant, nowMs))
      this.#correctOverstated()
      if (nowMs - this.#prunedMs >= PRUNE_EVERY_MS) {
        this.#prunedMs = nowMs
        this.#db.prepare('delete from grants where expires_ms <= ?').run(nowMs)
        this.#db.prepare('delete from pauses where until_ms <= ?').run(nowMs)
      }
    })
    for (const know of known) know()
  }

  /** Notes that permits of the entry came back, so that the next write corrects the file. */
  overstates(entry: GrantEntry): void {
    if (entry.stored !== null && !entry.expired) this.#overstated.add(entry.stored)
  }

  storePause(scope: string, untilMs: number): void {
    this.#transaction(() => {
      this.#db
        .prepare(
          'insert into pauses values (?, ?) on conflict (scope) do update set until_ms = excluded.until_ms',
        )
        .run(scope, untilMs)
    })
  }

  /** Stores a breaker; null for one that is closed. */
  storeBreaker(scope: string, stored: StoredBreaker | null): void {
    this.#transaction(() => {
      this.#db.prepare('delete from breakers where scope = ?').run(scope)
      if (stored === null) return
      const { failures, openedAt, pausedUntil, failedProbes, lastProbeAt } = stored
      this.#db
        .prepare('insert into breakers values (?, ?, ?, ?, ?, ?)')
        .run(scope, failures, openedAt, pausedUntil, failedProbes, lastProbeAt)
    })
  }

  storeOwner(partition: string, marker: number): void {
    this.#transaction(() => {
      this.#db
        // Replacing keeps the rows in the order of the writes.
        .prepare('insert or replace into holders values (?, ?)')
        .run(partition, marker)
      this.#db.prepare('delete from holders where rowid <= last_insert_rowid() - ?').run(OWNERS_KEPT)
    })
  }

  /** Corrects the file and closes it. */
  close(lastEntries: readonly GrantEntry[]): void {
    try {
      for (const entry of lastEntries) this.overstates(entry)
      this.#transaction(() => this.#correctOverstated())
    } finally {
      this.#db.close()
    }
  }

  /** Puts an entry without a row into the open row of its window. */
  #join({ window, entry }: Granted, nowMs: number): void {
    const open = this.#open.get(window)
    if (entry.stored !== null || open === undefined || nowMs >= open.toMs || open.row.isGone) return
    open.row.entries.push(entry)
    entry.stored = open.row
  }

  /** Writes an entry. Returns the call to make once it is committed. */
  #storeEntry({ scope, window, entry }: Granted, nowMs: number): () => void {
    const { grainMs, limit, windowMs } = window
    const { stored } = entry
    const before = this.#open.get(window)
    const opens = stored === null && grainMs > 0
    const reserve =
      opens || (stored !== null && stored === before?.row) ? Math.floor(limit * RESERVE_SHARE) : 0
    const permits = usedOf(stored?.entries ?? [entry]) + reserve
    const toMs = nowMs + windowMs * ROW_SHARE
    const untilMs = Math.max(
      entry.lastMs,
      stored?.untilMs ?? 0,
      opens ? toMs + grainMs + this.#longestLifeMs : 0,
    )
    if (stored !== null) {
      this.#overstated.delete(stored)
      this.#update.run(permits, untilMs, untilMs + windowMs, stored.rowId)
      return () => Object.assign(stored, { permits, untilMs })
    }
    if (opens && before !== undefined) this.#overstated.add(before.row)
    const { lastInsertRowid } = this.#insert.run(scope, windowMs, untilMs, permits, untilMs + windowMs)
    return () => {
      const row = { rowId: lastInsertRowid, permits, untilMs, entries: [entry], isGone: false }
      entry.stored = row
      if (opens) this.#open.set(window, { row, toMs })
    }
  }

  #correctOverstated(): void {
    for (const row of this.#overstated) {
      const used = usedOf(row.entries)
      if (row.permits <= used || row.entries.every(entry => entry.expired)) continue
      if (used === 0) {
        this.#delete.run(row.rowId)
        for (const entry of row.entries) entry.stored = null
        row.isGone = true
      } else {
        this.#db.prepare('update grants set permits = ? where id = ?').run(used, row.rowId)
        row.permits = used
      }
    }
    this.#overstated.clear()
  }

  #transaction(write: () => void): void {
    try {
      this.#begin.run()
      write()
      this.#commit.run()
    } catch (cause) {
      if (this.#db.isTransaction) this.#db.exec('rollback')
      const message = `cannot write the limits to ${this.#path}: ${messageOf(cause)}`
      throw diskError(message, cause) ?? new SluiceError('unreachable', message, { cause, retryable: true })
    }
  }
}

function breakerOf(row: { readonly [column: string]: unknown }): StoredBreaker {
  const lastProbeAt = row['last_probe_at']
  return {
    failures: Number(row['failures']),
    openedAt: Number(row['opened_at']),
    pausedUntil: Number(row['paused_until']),
    failedProbes: Number(row['failed_probes']),
    lastProbeAt: lastProbeAt === null ? null : Number(lastProbeAt),
  }
}

/** A `disk` error if the disk is full or fails; null for anything else. */
function diskError(message: string, cause: unknown): SluiceError | null {
  if (!(cause instanceof Error) || !('errcode' in cause) || typeof cause.errcode !== 'number') return null
  if (!isSqliteDiskCode(cause.errcode)) return null
  return new SluiceError('disk', `${message}. Make room on that disk and run again.`, { cause })
}

function usedOf(entries: readonly GrantEntry[]): number {
  let used = 0
  for (const { permits } of entries) used += permits
  return used
}

/** True if the row of the entry has enough permits. */
function isCovered({ stored, lastMs }: GrantEntry): boolean {
  return stored !== null && usedOf(stored.entries) <= stored.permits && lastMs <= stored.untilMs
}

/** An entry that a grant went into, with its place in the file. */
export interface Granted {
  readonly scope: string
  readonly window: SlidingWindow
  readonly entry: GrantEntry
}

function open(path: string): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(path, { timeout: 1000 })
    // The file is exclusive: two processes that count by themselves would each grant the whole limit.
    db.exec('pragma locking_mode = exclusive')
    db.exec('pragma journal_mode = wal')
    db.exec('pragma synchronous = normal')
    db.exec(`pragma wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
    const version = Number(db.prepare('pragma user_version').get()?.['user_version'] ?? 0)
    if (version !== 0 && version !== FORMAT_VERSION) {
      throw new SluiceError(
        'corrupt',
        `${path} has limits in format ${version}; this Sluice knows ${FORMAT_VERSION}`,
      )
    }
    // A file with tables is only locked. Nothing is written, so nothing waits for the disk.
    const tables = version === 0 ? `${SCHEMA} pragma user_version = ${FORMAT_VERSION};` : ''
    db.exec(`begin exclusive; ${tables} commit`)
    return db
  } catch (cause) {
    if (db?.isOpen) db.close()
    if (cause instanceof SluiceError) throw cause
    const message = messageOf(cause)
    const cannotOpen = `cannot open the limits in ${path}: ${message}`
    const full = diskError(cannotOpen, cause)
    if (full !== null) throw full
    if (/locked|busy/i.test(message)) {
      throw new SluiceError('conflict', `another process holds the limits in ${path}`, { cause })
    }
    if (/not a database|malformed|corrupt/i.test(message)) {
      const advice = 'remove the file, and limits are counted from zero'
      throw new SluiceError('corrupt', `${path} is no file of limits (${message}); ${advice}`, { cause })
    }
    throw new SluiceError('unreachable', cannotOpen, { cause, retryable: true })
  }
}
