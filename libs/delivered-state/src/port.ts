/**
 * The delivered state of one sync. For each key, it has the row that the destination is believed to hold, and
 * how certain that is (PROTOCOL.md §2). The diff compares a model's rows with it, by operations on sets. It
 * is a cache: all of it follows from the topics `changes`, `retry` and `captured`, and `positions` says how
 * far into them it has come (PROTOCOL.md §3).
 *
 * A key's partition is remembered, not computed. As long as the state knows the key, it is the partition with
 * the key's last change. Only the retry entries and captured values of that partition count. A key that was
 * forgotten may come back in another partition. If it has changes in several partitions, the change of the
 * highest run is the last.
 *
 * One caller at a time. Errors are `SluiceError`s: `corrupt` (the file cannot be trusted: reset it and feed
 * it the topics from their start), `config` (key columns or their types changed: the message names `sluice
 * reset`), `aborted`.
 */
import type { ColumnRows } from '@sluice/contracts/column-values'
import type { CountsByOp, Op } from '@sluice/contracts/state'
import type { Captured, Change, InvalidSample, RetryEntry } from '@sluice/contracts/records'
import type { Column, ColumnType, Row } from '@sluice/contracts/values'
import type { FailedGroup } from '@sluice/domain/answers/failed-group'

/** Next offsets per partition; index = partition. */
export interface StatePositions {
  readonly changes: readonly number[]
  readonly retry: readonly number[]
  readonly captured: readonly number[]
  /**
   * The last change that the state contains of each partition, to check it against the topic: run and seq.
   * Null if it contains none yet.
   */
  readonly lastChange: readonly ({
    readonly offset: number
    readonly run: number
    readonly seq: number
  } | null)[]
  /** The run for which the state was last fed. Null if no commit has named one. */
  readonly fedFor: FedFor | null
  /** The run whose rows are kept (`keep`). Null if there is none. */
  readonly kept: KeptRun | null
}

/** A run that has added rows to an empty state, and was published whole. */
export interface KeptRun {
  readonly run: number
  readonly runId: string
  /** For each partition, the offset behind the run's end in `changes`, and how many changes it has there. */
  readonly partitions: readonly { readonly end: number; readonly count: number }[]
}

/** A run whose changes are all in the topic, in the order of the diff. */
export interface PublishedRun {
  readonly run: number
  readonly runId: string
  /** For each partition, the offset behind the run's end in `changes`. */
  readonly ends: readonly number[]
  /** This many rows of unknown keys go to one partition before the next partition has its turn. */
  readonly blockRows: number
  readonly signal: AbortSignal
}

/** A run, and when it began to read the topics (ms since 1970). */
export interface FedFor {
  readonly run: number
  readonly at: number
}

/** A record of `retry` or `captured`. A null value is a tombstone. */
export interface Keyed<T> {
  readonly key: string
  readonly value: T | null
}

/** A change as read from its topic. The time is that of its record, in ms since 1970. */
export interface PlacedChange {
  readonly offset: number
  readonly timestamp: number
  readonly change: Omit<Change, 'incarnation' | 'owner'>
}

/** A tombstone: the earlier records of the key in this partition no longer count. */
export interface PlacedTombstone {
  readonly offset: number
  readonly key: string
  readonly change: null
}

/**
 * A range of records of one partition of each topic, in offset order. `nextOffset` is the position after it.
 */
export interface StateFeed {
  readonly partition: number
  readonly changes?: {
    readonly records: readonly (PlacedChange | PlacedTombstone)[]
    readonly nextOffset: number
  }
  readonly retry?: { readonly records: readonly Keyed<RetryEntry>[]; readonly nextOffset: number }
  /**
   * Entries for changes of the range whose outcome is unknown, since a run lost track of them. Such an entry
   * counts whatever `retry` says, then and later, until `changes` has another record of its key here.
   */
  readonly lost?: readonly { readonly key: string; readonly value: RetryEntry }[]
  readonly captured?: { readonly records: readonly Keyed<Captured>[]; readonly nextOffset: number }
}

export interface DiffRequest {
  /** The DuckDB file with the table `rows` that a source exported. */
  readonly extractFile: string
  readonly columns: readonly Column[]
  readonly primaryKey: readonly string[]
  /** Columns whose differences count as a change. */
  readonly compare: readonly string[]
  /** Ops with a trigger. Changes of other ops are settled as if delivered. */
  readonly opsWithTrigger: ReadonlySet<Op>
  /** True for a first run with skip-existing: every row is settled as present, and nothing is sent. */
  readonly baseline: boolean
  /** Absent for an ordinary run. */
  readonly purpose?: RunPurpose
  /**
   * The purpose is about rows whose last change is of a run up to this one. All other rows are treated as in
   * an ordinary run, or are left out if the purpose looks only at rows that failed. Absent: all runs.
   */
  readonly upTo?: number | null
  /**
   * `all`: the diff skips each row whose last request has an unknown outcome, whatever the model has.
   * `after-asked`: it skips only rows of this kind whose last change is of a run after `upTo`. A discard
   * still mutes a row with an unknown outcome, and a retry of some rows still sends it.
   */
  readonly leavesUndecided?: 'all' | 'after-asked' | 'none'
  /**
   * True: no row is settled as uncertain because a twin of it is removed. The next run would send such a row
   * again, and a row that has arrived must not be sent again by itself.
   */
  readonly atMostOnce?: boolean
  /**
   * True if a rule for answers can say that the row is there already. So a row whose twin is removed may
   * always be sent as added.
   */
  readonly tellsExists?: boolean
  /** A row that failed in this many runs is muted. Null or absent: no row is muted for failures. */
  readonly giveUpAfter?: number | null
  readonly signal: AbortSignal
}

/** The purpose of a run that is not an ordinary one (PROTOCOL.md §12). */
export type RunPurpose =
  /**
   * Every row counts as uncertain, even a muted one. With `added`, its existence is uncertain, so it is sent
   * as added. With `changed`, only its content is uncertain, so it is sent as changed.
   */
  | { readonly kind: 'resync'; readonly as: 'added' | 'changed' }
  /** Looks only at rows that failed, and mutes them. */
  | ({ readonly kind: 'discard' } & MeantRows)
  /** Looks only at rows that failed, sends what they need, and gives none up. */
  | ({ readonly kind: 'retry' } & MeantRows)
  /**
   * Looks only at the rows that `takeReplayed` took in, and settles each as uncertain. Of the model, only the
   * columns count. Muted keys do not stay muted, and undecided keys do not stay undecided.
   */
  | { readonly kind: 'replay' }

/** Chooses rows that failed. A null matches every row; the status 5 is 5xx. */
export interface MeantRows {
  readonly key: string | null
  readonly status: number | null
  readonly group?: FailedGroup | null
}

/** A row of a recorded request that is to be sent again. */
export interface ReplayedRow {
  readonly key: string
  readonly op: Op
  /**
   * The row that the request left at the destination. Null for a removal, and for a row that the state has.
   */
  readonly row: Row | null
}

/** A change before it has a place in a topic. */
export interface DetectedChange extends Omit<Change, 'incarnation' | 'owner' | 'run' | 'seq' | 'replayed'> {
  /**
   * The partition with the key's last change. This change has to go there too. Null for a key that the state
   * does not know: it was never there, or it is gone and has neither an open retry entry nor captured values.
   * Then the detector may choose a partition.
   */
  readonly partition: number | null
}

/** A column whose type in the model has changed. */
export interface RetypedColumn {
  readonly name: string
  readonly was: ColumnType
  readonly is: ColumnType
}

/** A key that should get a tombstone in a partition of a topic. */
export interface EndedKey {
  readonly partition: number
  readonly key: string
}

/**
 * Some changes of a diff, in order. `endsRetry` lists the retry entries of keys that the batch settles. They
 * get a tombstone once these changes are acknowledged.
 */
export interface ChangeBatch {
  readonly changes: readonly DetectedChange[]
  readonly endsRetry: readonly EndedKey[]
}

/**
 * Some changes of a diff, in order, that are all alike: each adds a row of the model, with the columns of the
 * diff, whose key the state does not know. No destination has the row, no retry entry and no captured value
 * waits for it, and it may go to any partition.
 */
export interface NewRows {
  readonly newRows: ColumnRows
}

/**
 * The result of a diff. It stays valid until the next `feed`, `diff` or dispose. `changes()` or
 * `changesByColumn()` may be iterated once.
 */
export interface Diff {
  /**
   * The columns of the request, and of the rows of the changes. The type of a column without values may not
   * be known. It then has the type from when it had values. After a rebuild even that may not be known, and
   * the stored rows suggest the type. A row that was delivered when a column had another type may have a
   * value of that type.
   */
  readonly columns: readonly Column[]
  /** Columns whose values have another type than in earlier results. Empty after a rebuild. */
  readonly retyped: readonly RetypedColumn[]
  readonly rowsRead: number
  readonly rowsInvalid: number
  /** Up to ten of the invalid rows. */
  readonly invalidSamples: readonly InvalidSample[]
  /** Detected changes per op with a trigger (other fields 0), and how many are settled. */
  readonly counts: CountsByOp
  readonly settled: number
  /** Keys believed to be at the destination before this run (present or uncertain), for the removal guard. */
  readonly keysBefore: number
  /**
   * Rows that were delivered without some columns, since the model did not have these columns then. They are
   * settled with the new columns. A new column alone is no reason to send a row.
   */
  readonly adopted: { readonly rows: number; readonly columns: readonly string[] }
  /** Rows that this run settles as muted, since they failed too often or are discarded. */
  readonly muted: number
  /** Rows that are skipped since nobody has decided about them (`leavesUndecided`). */
  readonly undecided: number
  /** True if the row of a twin of a removed key is sent: then all removals have to go first. */
  readonly removalsFirst: boolean
  /** The keys of at most ten rows for which the run would send a removal. */
  readonly removedSamples: readonly string[]
  /**
   * The changes in the order in which a partition is written: settled, removed, changed, added (R17). Those
   * of one op are in the order of the model's query. They come in batches of at most a few thousand.
   *
   * Captured values of rows that are settled as absent get a tombstone, like the retry entries of
   * `endsRetry`. If a row was already absent, its captured values belong to an earlier row.
   */
  changes(): AsyncIterable<ChangeBatch>
  /**
   * Yields what `changes` yields, in its order. Rows that are new to the state come by column where they can.
   */
  changesByColumn(): AsyncIterable<ChangeBatch | NewRows>
}

/** Names the state of a sync. */
export interface StateOptions {
  readonly sync: string
  readonly incarnation: string
  /** Partitions of the sync's topics. */
  readonly partitions: number
  /** Called with the reason if an existing file cannot be trusted. The state then starts empty. */
  readonly onDiscard?: (reason: string) => void
}

export interface DeliveredState extends AsyncDisposable {
  /** The offsets at which reading goes on. All zero after `reset` and for a new file. */
  positions(): Promise<StatePositions>
  /** Forgets everything: the next feed starts at the topics' beginning. */
  reset(): Promise<void>
  /**
   * Takes in a range of records. It may be called for many ranges. None counts until `commit`, which applies
   * all of them and the positions in one transaction.
   *
   * The caller feeds only whole runs, so that the outcome of every change is known. A change without a retry
   * entry of its partition, run and seq was delivered. Since a key may move between partitions, a commit
   * takes in the same runs of all partitions. The partitions may come in any order.
   *
   * A commit that is aborted has applied nothing, and the caller then has to dispose the state. `positions`
   * says for which run the last commit was, if the caller named one.
   */
  feed(range: StateFeed): Promise<void>
  commit(options?: { readonly signal?: AbortSignal; readonly fedFor?: FedFor | undefined }): Promise<void>
  /**
   * Passes keys that have long been gone from a partition to `end`, some thousands at a time. `end` writes
   * tombstones for them into `changes`. A key is gone since its last change in the partition, if the state
   * knows nothing of it there after that change. It is passed if the time of that change (ms since 1970) is
   * earlier than `before`.
   *
   * The state forgets a key once `end` has resolved for it, and does not pass it again. There are two
   * exceptions. While a diff is open, the state forgets nothing until that diff has ended. A state that is
   * rebuilt may pass the key again.
   *
   * An open diff stays valid. Rejects with the error of `end`, or with the signal's reason between two calls
   * of it.
   */
  endGone(
    before: number,
    end: (keys: readonly EndedKey[]) => Promise<void>,
    options: { readonly signal: AbortSignal },
  ): Promise<void>
  /**
   * Keeps the rows of the open diff, so that they need not be fed, if the diff only adds them to an empty
   * state. Its changes must have been read, and the diff ends. The topics have these rows, too, so nothing is
   * lost if they are not kept. Resolves with true if they are.
   */
  keep(published: PublishedRun): Promise<boolean>
  /**
   * Takes in the kept rows, so that their changes need not be read from the topics. `lastChange` has the last
   * change of each partition. Without this call, the next commit drops the kept rows.
   */
  feedKept(lastChange: StatePositions['lastChange']): void
  /** Returns the last seq, by run and partition, of changes whose outcome is unknown (`StateFeed.lost`). */
  lastUncertain(): Promise<
    readonly { readonly partition: number; readonly run: number; readonly seq: number }[]
  >
  /** Returns those of the keys whose rows may be at the destination. */
  believed(keys: readonly string[]): Promise<ReadonlySet<string>>
  /**
   * Takes in rows of recorded requests, in the order in which these are sent again, for the next diff, whose
   * purpose is `replay`. It may be called many times. The rows are forgotten with the next commit.
   */
  takeReplayed(rows: readonly ReplayedRow[]): Promise<void>
  /** Finds the changes. The state stays as it is: it takes them in from the topics at the next feed. */
  diff(request: DiffRequest): Promise<Diff>
}
