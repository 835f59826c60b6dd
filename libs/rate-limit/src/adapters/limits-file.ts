/**
 * The limits of one machine as a SQLite file, so that they outlive processes. A grant is written before it is
 * handed out. A write that the operating system has accepted survives `kill -9` of the process. The file may
 * say more than was used, and never less: an entry that many leases share is written once with room to spare,
 * and corrected by a later write.
 */
import { DatabaseSync } from 'node:sqlite'
import { SluiceError } from '@sluice/contracts/errors'
import { isSqliteDiskCode } from '@sluice/domain/disk-failure'
import type { StoredBreaker } from './breaker.ts'
import type { GrantEntry, SlidingWindow } from './sliding-window.ts'

const FORMAT_VERSION = 1
/** How often expired rows are removed, at most. */
const PRUNE_EVERY_MS = 1000
/**
 * Pages in the write-ahead log before SQLite moves them into the file. That syncs the disk, and holds up
 * everything for a moment.
 */
const CHECKPOINT_PAGES = 4000
/** How many partitions' markers are remembered: those that changed hands last. */
export const OWNERS_KEPT = 10_000
/** Share of a limit that is written in advance for an entry. */
const RESERVE_SHARE = 1 / 64

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
 * Methods throw `disk` if the disk is full or fails, since another try does not help. For other failures they
 * throw `unreachable` (retryable). In both cases nothing was written to the file.
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
  /** Entries of which the file says more than was used. */
  readonly #overstated = new Set<GrantEntry>()

  /** Throws `conflict` if another process holds the file, and `corrupt` if it is no file of limits. */
  constructor(path: string) {
    this.#path = path
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
   * The grants that still count at `nowMs`. Later times come from a clock that was set back, and count from
   * now.
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
      window.entries.push({
        firstMs: -Infinity,
        lastMs: Math.min(untilMs, nowMs),
        permits,
        expired: false,
        stored: { rowId: Number(row['id']), permits, untilMs },
      })
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
   * Writes the entries that a grant went into, as one transaction. Writes nothing if the file says enough
   * already.
   */
  storeGrant(grants: readonly Granted[], nowMs: number): void {
    const writes = grants.filter(({ entry }) => {
      const { stored } = entry
      return stored === null || stored.permits < entry.permits || stored.untilMs < entry.lastMs
    })
    if (writes.length === 0) return
    this.#transaction(() => {
      for (const grant of writes) this.#storeEntry(grant)
      this.#correctOverstated()
      if (nowMs - this.#prunedMs >= PRUNE_EVERY_MS) {
        this.#prunedMs = nowMs
        this.#db.prepare('delete from grants where expires_ms <= ?').run(nowMs)
        this.#db.prepare('delete from pauses where until_ms <= ?').run(nowMs)
      }
    })
  }

  /** Permits of the entry came back. The next write corrects the file. */
  overstates(entry: GrantEntry): void {
    if (entry.stored !== null && !entry.expired) this.#overstated.add(entry)
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

  /** Null for a breaker that is closed. */
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
        // Anew, so that rows stand in the order in which they were written.
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

  #storeEntry({ scope, window, entry }: Granted): void {
    const { grainMs, limit } = window
    const permits = grainMs === 0 ? entry.permits : entry.permits + Math.floor(limit * RESERVE_SHARE)
    const untilMs = Math.max(entry.lastMs, entry.firstMs + grainMs)
    const expiresMs = untilMs + window.windowMs
    if (entry.stored === null) {
      const { lastInsertRowid } = this.#insert.run(scope, window.windowMs, untilMs, permits, expiresMs)
      entry.stored = { rowId: lastInsertRowid, permits, untilMs }
    } else {
      this.#update.run(permits, untilMs, expiresMs, entry.stored.rowId)
      entry.stored = { rowId: entry.stored.rowId, permits, untilMs }
    }
  }

  #correctOverstated(): void {
    for (const entry of this.#overstated) {
      const { stored } = entry
      if (stored === null || entry.expired || stored.permits <= entry.permits) continue
      if (entry.permits === 0) {
        this.#delete.run(stored.rowId)
        entry.stored = null
      } else {
        this.#db.prepare('update grants set permits = ? where id = ?').run(entry.permits, stored.rowId)
        entry.stored = { ...stored, permits: entry.permits }
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
    db.exec(`begin exclusive; ${SCHEMA} pragma user_version = ${FORMAT_VERSION}; commit`)
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

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
