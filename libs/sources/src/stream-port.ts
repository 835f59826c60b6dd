/**
 * A source whose changes are read as they come: the log of a database, or a topic. One reader of a model at a
 * time. Several models may share a connection, or the consumer of a topic.
 *
 * Errors are `SluiceError`s:
 *
 * - `unreachable`: retryable.
 * - `config`: a right or a setting is missing. The message says what to run, and as whom.
 * - `query`: the model's SQL is refused, or there are no whole rows to compare with: the log has no
 *   beginning, and no table is behind it.
 * - `corrupt`: the log is not what it says it is.
 *
 * An abort rejects with the signal's reason.
 */
import type { ModelSpec } from '@sluice/contracts/resources'
import type { StreamPosition } from '@sluice/contracts/records'
import type { Column, Row } from '@sluice/contracts/values'
import type { Extract } from './port.ts'

interface Signalled {
  readonly signal: AbortSignal
}

export interface StreamColumns {
  readonly columns: readonly Column[]
  /** Columns whose values an entry may lack, since they have not changed. */
  readonly mayLack: readonly string[]
  /** The columns that tell the rows apart, if the model leaves them to the source. */
  readonly primaryKey?: readonly string[]
}

export interface StreamSource extends AsyncDisposable {
  /** Returns the columns of the model. Reads no rows. */
  describe(model: ModelSpec, options: Signalled): Promise<StreamColumns>
  /**
   * Opens the log behind this position; null: behind the next comparison. It makes what it needs at the
   * source, such as a slot, and may be called again. Resolves with a break if the position is of another
   * history, if entries behind it are gone, or if the source has more partitions. `toldAt` is the time, in ms
   * since 1970, at which a reader was last known to be there: a source that forgets single entries after a
   * while may have lost some since then.
   */
  open(
    model: ModelSpec,
    from: StreamPosition | null,
    options: Signalled & { readonly toldAt?: number },
  ): Promise<OpenedStream>
  /**
   * Rejects with the error with which `open` would reject, and makes nothing that stays. Absent where `open`
   * makes nothing.
   */
  check?(model: ModelSpec, options: Signalled): Promise<void>
  /** Gives up what `open` has made at the source, for `reset` and deletion. Resolves if there is nothing. */
  release(model: ModelSpec, options: Signalled): Promise<void>
}

export type OpenedStream = { readonly kind: 'reader'; readonly reader: StreamReader } | StreamBreak

export interface SliceBounds {
  readonly rows: number
  readonly bytes: number
  /** How long it waits for more after the first entry, in milliseconds. */
  readonly waitMs: number
}

export interface StreamReader extends AsyncDisposable {
  /**
   * Resolves with entries in the order of each partition, within these bounds. It waits for the first entry
   * without limit. It leaves out entries up to `highest` of their partition. A break comes alone, and is
   * repeated until a comparison, or until the reader is disposed. One call at a time. A reader that was
   * opened at no position breaks off at once, as `first`.
   */
  next(bounds: SliceBounds & Signalled): Promise<StreamSlice | StreamBreak>
  /**
   * Reads the whole table, or the whole topic, into a DuckDB file, as `Source.extract` does, at an exact
   * order: `position` includes all entries up to it, and no later one. Its partitions are those of now, and
   * its epoch is that of the position that was opened, or 0; the caller sets it. The reader goes on behind
   * it. Not to be called while `next` waits.
   */
  compare(options: { readonly file: string } & Signalled): Promise<ComparedStream>
  /**
   * Tells the source that everything before the position is acknowledged in `changes`, so that it may forget
   * it. Cheap: called for each slice.
   */
  acknowledged(position: StreamPosition): void
  /** What is known to be behind the last entry that was read. */
  lag(): { readonly records: number | null; readonly oldestCommittedAt: number | null }
}

export interface ComparedStream extends Extract {
  readonly position: StreamPosition
}

export interface StreamSlice {
  readonly kind: 'slice'
  readonly entries: readonly StreamEntry[]
  /** Behind the last entry. `epoch` and `model` are those that were opened. */
  readonly position: StreamPosition
  /** Records that cannot be read. They are passed over. */
  readonly unreadable: readonly { readonly place: string; readonly why: string }[]
}

export interface StreamEntry {
  /** The primary key as text; a composite one as a JSON array. */
  readonly key: string
  /** Null: it is gone. A key that changes is two entries: the old key is gone, the new one has the row. */
  readonly row: Row | null
  /** Columns whose values it lacks, since they have not changed. In `row` they are null. */
  readonly lacks: readonly string[]
  /** Sorts within the epoch, as its bytes do, over all partitions of a log. No two entries share it. */
  readonly order: string
  /** Milliseconds since 1970. */
  readonly committedAt: number | null
  /** The partition of the log that it stands in, as in `StreamPosition`. */
  readonly partition: number
}

/** Entries are missing, or say nothing of rows that changed. Only a comparison goes on. */
export interface StreamBreak {
  readonly kind: 'break'
  readonly why: StreamBreakReason
  /** In a sentence, for people. */
  readonly detail: string
}

/**
 * - `first`: nothing was compared yet.
 * - `lost`: entries behind the position are gone.
 * - `truncated`: the table was emptied.
 * - `snapshot`: the log has a snapshot, and rows that were removed before it are just missing from it.
 * - `history`: the log is another one than the position is of.
 * - `partitions`: the log has more partitions than the position.
 * - `columns`: columns came or went.
 */
export type StreamBreakReason =
  'first' | 'lost' | 'truncated' | 'snapshot' | 'history' | 'partitions' | 'columns'
