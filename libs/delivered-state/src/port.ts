/**
 * The delivered state of one sync: per key, what the destination is believed to hold and how certain that is
 * (PROTOCOL.md §2), with the set-based diff of a model's rows against it. It is a cache: what it holds
 * follows from the topics `changes`, `retry` and `captured`, and `positions` says how far into them it has
 * come (PROTOCOL.md §3).
 *
 * A key's partition is remembered, not computed: it is the one in which the key's last change stands, for as
 * long as the state knows the key, and its retry entries and captured values are those of that partition. A
 * key that was forgotten may come back in another partition; of its changes in several partitions, that of
 * the highest run is the last.
 *
 * One caller at a time. Errors are `SluiceError`s: `corrupt` (the file cannot be trusted: reset it and feed
 * it the topics from their start), `config` (key columns or their types changed: the message names `sluice
 * reset`), `aborted`.
 */
import type { CountsByOp, Op } from '@sluice/contracts/state'
import type { Captured, Change, InvalidSample, RetryEntry } from '@sluice/contracts/records'
import type { Column, ColumnType } from '@sluice/contracts/values'

/** Next offsets per partition; index = partition. */
export interface StatePositions {
  readonly changes: readonly number[]
  readonly retry: readonly number[]
  readonly captured: readonly number[]
  /**
   * The last change contained per partition, to be checked against the topic: run and seq, or null for none
   * yet.
   */
  readonly lastChange: readonly ({
    readonly offset: number
    readonly run: number
    readonly seq: number
  } | null)[]
  /** For what the state was brought up to date last; null if nobody has said so. */
  readonly fedFor: FedFor | null
}

/** A run, and when it began to read the topics (ms since 1970). */
export interface FedFor {
  readonly run: number
  readonly at: number
}

/** A record of `retry` or `captured`; a null value is a tombstone. */
export interface Keyed<T> {
  readonly key: string
  readonly value: T | null
}

/** A change as read from its topic; the time is its record's, in ms since 1970. */
export interface PlacedChange {
  readonly offset: number
  readonly timestamp: number
  readonly change: Omit<Change, 'incarnation' | 'owner'>
}

/** A tombstone: what came before of the key in this partition means nothing any more. */
export interface PlacedTombstone {
  readonly offset: number
  readonly key: string
  readonly change: null
}

/** A stretch of one partition of each topic, in offset order. `next…` are the positions after it. */
export interface StateFeed {
  readonly partition: number
  readonly changes?: {
    readonly records: readonly (PlacedChange | PlacedTombstone)[]
    readonly nextOffset: number
  }
  readonly retry?: { readonly records: readonly Keyed<RetryEntry>[]; readonly nextOffset: number }
  readonly captured?: { readonly records: readonly Keyed<Captured>[]; readonly nextOffset: number }
}

export interface DiffRequest {
  /** The DuckDB file with the table `rows` that a source exported. */
  readonly extractFile: string
  readonly columns: readonly Column[]
  readonly primaryKey: readonly string[]
  /** Columns whose differences count as a change. */
  readonly compare: readonly string[]
  /** Ops with a trigger; the others are settled as if delivered. */
  readonly opsWithTrigger: ReadonlySet<Op>
  /** skip-existing on a first run: every row is settled as present, nothing is sent. */
  readonly baseline: boolean
  /** Absent: an ordinary run. */
  readonly purpose?: RunPurpose
  /** A row that failed in so many runs is muted; null or absent: none ever is. */
  readonly giveUpAfter?: number | null
  readonly signal: AbortSignal
}

/** What a run is for, where it is no ordinary one (PROTOCOL.md §12). */
export type RunPurpose =
  /**
   * Every row counts as uncertain: whether it is there at all, so that it is sent as added, or only what is
   * there, so that it is sent as changed. Rows that are muted, too.
   */
  | { readonly kind: 'resync'; readonly as: 'added' | 'changed' }
  /** Only rows that failed are looked at, and muted. Null: whatever the key, or the status of the answer. */
  | { readonly kind: 'discard'; readonly key: string | null; readonly status: number | null }
  /** Only rows that failed are looked at, and done about what is due; none is given up. Null as above. */
  | { readonly kind: 'retry'; readonly key: string | null; readonly status: number | null }

/** A change before it has a place in a topic. */
export interface DetectedChange extends Omit<Change, 'incarnation' | 'owner' | 'run' | 'seq' | 'replayed'> {
  /**
   * The partition in which the key's last change stands, and this one has to stand too. Null for a key that
   * the state does not know, because it was never there or is gone without an open retry entry and without
   * captured values: whoever publishes the change may choose.
   */
  readonly partition: number | null
}

/** A column whose type in the model is another than it was. */
export interface RetypedColumn {
  readonly name: string
  readonly was: ColumnType
  readonly is: ColumnType
}

/** A key that is to get a tombstone in a partition of a topic. */
export interface EndedKey {
  readonly partition: number
  readonly key: string
}

/**
 * What a diff found. It stays valid until the next `feed`, `diff` or dispose; `changes()` may be iterated
 * once.
 */
export interface Diff {
  /**
   * The columns of the request, and of the rows of the changes. A column without a value, which may say
   * nothing of its type, has the type that it had when it had some. That is not always known after a rebuild:
   * then it has the type that the stored rows suggest. Rows that were delivered when a column had another
   * type may have values of that type.
   */
  readonly columns: readonly Column[]
  /** Columns whose values are of another type than in the results before; none after a rebuild. */
  readonly retyped: readonly RetypedColumn[]
  readonly rowsRead: number
  readonly rowsInvalid: number
  /** At most ten. */
  readonly invalidSamples: readonly InvalidSample[]
  /** Detected changes per op with a trigger (other fields 0), and how many are settled. */
  readonly counts: CountsByOp
  readonly settled: number
  /** Keys believed to be at the destination before this run (present or uncertain), for the removal guard. */
  readonly keysBefore: number
  /**
   * Rows that are settled with columns that they were delivered without, since the model has these newly:
   * none of them is sent for that alone.
   */
  readonly adopted: { readonly rows: number; readonly columns: readonly string[] }
  /** Rows that are settled as muted by this very run, since they failed too often or are discarded. */
  readonly muted: number
  /** Keys of at most ten rows that a trigger would remove. */
  readonly removedSamples: readonly string[]
  /**
   * The changes in the order in which a partition is written: settled, removed, changed, added (R17), those
   * of an op in the order of the model's query; in batches of at most a few thousand. `endsRetry` lists the
   * retry entries of keys that are settled in the batch: they are to get a tombstone once these changes are
   * acknowledged. So are the captured values of rows that are settled as absent; those of a row that was
   * absent before are another's.
   */
  changes(): AsyncIterable<{
    readonly changes: readonly DetectedChange[]
    readonly endsRetry: readonly EndedKey[]
  }>
}

export interface DeliveredState extends AsyncDisposable {
  /** Where to go on reading. All zero after `reset` and for a new file. */
  positions(): Promise<StatePositions>
  /** Forgets everything: the next feed starts at the topics' beginning. */
  reset(): Promise<void>
  /**
   * Takes in a stretch of topics. May be called for many stretches; nothing counts until `commit`, which
   * applies all of them and the positions in one transaction. Only whole runs are fed: the outcome of every
   * change is known, and a change without a retry entry of its partition, run and seq was delivered. A commit
   * takes in the same runs of all partitions, which may come in any order: a key may have moved between them.
   * A commit that is aborted has applied nothing; the state is then only to be disposed. `positions` tell
   * what the last commit was for, if it said so.
   */
  feed(stretch: StateFeed): Promise<void>
  commit(options?: { readonly signal?: AbortSignal; readonly fedFor?: FedFor | undefined }): Promise<void>
  /**
   * Lets `end` write tombstones into `changes`, some thousands at a time, for keys that have been gone from a
   * partition since before a time (ms since 1970): that of their last change there, after which the state
   * knew nothing of them in that partition. Those for which it has resolved are not told again, once the diff
   * has ended that was there meanwhile, but for a state that is rebuilt. A diff stays valid. Rejects as `end`
   * does, and with the signal's reason between two calls of it.
   */
  endGone(
    before: number,
    end: (keys: readonly EndedKey[]) => Promise<void>,
    options: { readonly signal: AbortSignal },
  ): Promise<void>
  /** Finds what changed. The state itself stays as it is: it follows from the topics at the next feed. */
  diff(request: DiffRequest): Promise<Diff>
}
