/**
 * The delivered state of a sync over a stream. It has the facts that `port.ts` has, by the same table
 * (PROTOCOL.md §2), and is a cache of the same topics. It looks keys up, where the other one compares whole
 * tables. A slice is decided between two events, so calls are synchronous where they take milliseconds.
 *
 * For each key the change of the highest run, and within it of the highest slice, is the last. A key that is
 * gone stays, with its order, until its tombstone. Changes in flight are never in the state.
 *
 * One caller at a time. Errors are `SluiceError`s as in `port.ts`.
 */
import type { FailedGroup } from '@sluice/domain/answers/failed-group'
import type { KeyStateKind } from '@sluice/contracts/state'
import type { Captured, Change, RetryEntry } from '@sluice/contracts/records'
import type { Column, Row } from '@sluice/contracts/values'
import type { DeliveredState, FedFor, Keyed, PlacedTombstone, StateFeed, StatePositions } from './port.ts'

/** The state of a key, and the facts that decide its next change. */
export interface StreamedKey {
  readonly key: string
  /** How certain it is that the destination has `row`. */
  readonly state: KeyStateKind
  /**
   * The row that the destination is believed to hold. Null if it has none. It lacks columns that came later.
   */
  readonly row: Row | null
  /** The row that the source has, as far as the topics say. Null if it has none. */
  readonly wanted: Row | null
  /** The entry of the log that `wanted` is of. */
  readonly epoch: number
  readonly order: string
  /** The place of its last change. */
  readonly partition: number
  readonly run: number
  readonly slice: number
  readonly seq: number
  readonly muted: string | null
  /**
   * The retry entry that its partition has of it. Its last change failed if the entry names that run and seq.
   * An entry of an earlier change was left behind by a death: the key is settled, and the tombstone is
   * missing. An entry of a later change has come before the change is taken in.
   */
  readonly failed: RetryEntry | null
  /** JSON: name and value. */
  readonly captured: string | null
}

/** A change of a stream as read from its topic, and the time of its record in ms since 1970. */
export interface StreamedChange {
  readonly offset: number
  readonly timestamp: number
  readonly change: Omit<Change, 'incarnation' | 'owner'>
}

/** Records of one partition, in offset order, up to the end of a slice or of a run. */
export interface StreamFeed extends Omit<StateFeed, 'changes' | 'retry'> {
  readonly changes?: {
    readonly records: readonly (StreamedChange | PlacedTombstone)[]
    readonly nextOffset: number
  }
  readonly retry?: {
    /** With the time of each record, in ms since 1970. */
    readonly records: readonly (Keyed<RetryEntry> & { readonly timestamp: number })[]
    readonly nextOffset: number
  }
  readonly captured?: { readonly records: readonly Keyed<Captured>[]; readonly nextOffset: number }
  /** The run that the state is fed for. Absent: as before. */
  readonly fedFor?: FedFor
}

/** The rows that a command is about, as it was given. */
export interface StreamCommand {
  /** A resync is about all keys. The others are about keys with a retry entry, or with an uncertain row. */
  readonly kind: 'resync' | 'retry' | 'discard'
  /** Rows whose last change is of a run up to this one. */
  readonly upTo: number
  /**
   * The command is about rows whose last change is of a slice of the run `upTo` up to this one, by partition.
   * If it is null, it is about all rows of that run.
   */
  readonly upToSlices: readonly number[] | null
  /** Null matches every row; the status 5 is 5xx. */
  readonly key: string | null
  readonly status: number | null
  readonly group?: FailedGroup | null
}

export interface Removed {
  /** The time of the last of them, in ms since 1970. */
  readonly at: number
  readonly removed: number
  /** The number of them that are surely gone from the destination. */
  readonly absent: number
}

export interface StreamState extends AsyncDisposable {
  /** The offsets at which reading goes on, as in `DeliveredState`. `kept` is null. */
  positions(): StatePositions
  /** The highest epoch of any change that it has taken in; 0 if there is none. */
  newestEpoch(): number
  /**
   * Sets the columns that rows have, in their order, and says the types of their values. To be called before
   * rows are asked for. Rows of earlier columns are stored as they were: they lack columns that came later,
   * columns that are gone are left out, and a value of an earlier type is the text or number that it was.
   */
  setColumns(columns: readonly Column[]): void
  /** Returns the known ones of these keys, of which there may be 5,000. */
  of(keys: readonly string[]): ReadonlyMap<string, StreamedKey>
  /**
   * The known keys that an API may take for one of these (PROTOCOL.md §6), by each of these that has any:
   * other keys of the same form (`formOf` of libs/domain).
   */
  twinsOf(keys: readonly string[]): ReadonlyMap<string, readonly StreamedKey[]>
  /**
   * Takes in the finished changes of one partition, in one transaction with the positions. The caller feeds
   * up to a `Slice` on `retry`, or up to the end of a run. So the outcome of every change is known: one
   * without a retry entry of its partition, run and seq was delivered. `retry`, `captured` and `changes` may
   * come in one feed, or in several, in this order: so entries of a change are known before it. `lost` comes
   * in one feed with its changes. Throws `corrupt` for an entry of a change that was taken in with another
   * outcome.
   */
  take(finished: StreamFeed): void
  /**
   * Keys with a retry entry, and uncertain keys, since before this time (ms since 1970); the oldest first.
   * The time is that of the record. An uncertain key without an entry is left out as long as it is muted for
   * the op that it needs.
   */
  failedBefore(at: number, limit: number): readonly StreamedKey[]
  /** When the oldest of them failed. Null if there is none. */
  oldestFailure(): number | null
  /**
   * Keys behind `after` that the command is about, in the order of keys, at most `limit`. Empty: there are no
   * more.
   */
  meant(command: StreamCommand, after: string | null, limit: number): readonly StreamedKey[]
  /** Keys behind `after`, in the order of their UTF-8 bytes, at most `limit`. Empty: there are no more. */
  inOrder(after: string | null, limit: number): readonly StreamedKey[]
  count(): {
    /** Keys whose rows may be at the destination. */
    readonly believed: number
    /** Keys with a retry entry. */
    readonly failed: number
  }
  /**
   * Keys whose last change is a removal of this time or later (ms since 1970), whatever became of it; the
   * oldest first. Removals of about the same time may be one item.
   */
  removedSince(at: number): readonly Removed[]
  endGone: DeliveredState['endGone']
  /** Forgets everything: the next feed starts at the topics' beginning. */
  reset(): void
}
