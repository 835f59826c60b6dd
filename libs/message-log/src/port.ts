/**
 * The log: topics of partitions of records, written by fenced writers and read by offset. Ownership of
 * partitions comes from group membership; data is always read by explicit offset, so that a stage's position
 * follows from its own output (PROTOCOL.md §5) and committed offsets are never more than hints.
 *
 * Every method that can wait takes `signal`; aborting it rejects with the signal's reason and leaves the log
 * as it was, but for an append, which may then have happened or not. All methods may be called concurrently.
 * Errors are `SluiceError`s: `unreachable` (after the adapter's own retries, retryable),
 * `offset-out-of-range`, `fenced`, `writer-dead`, `not-found` (no such topic), `aborted` (the log was
 * closed), `too-large` (a record is larger than its topic takes), `internal` (an append of no records: the
 * caller's bug).
 */

/**
 * A record to be appended. A null value is a tombstone. Keys are never null, so that every topic may be
 * compacted.
 */
export interface NewRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
}

/**
 * A record as read. Buffers are the reader's own copies; `timestamp` is the log's time of appending in ms
 * since 1970.
 */
export interface LogRecord {
  readonly offset: number
  readonly key: Uint8Array
  readonly value: Uint8Array | null
  readonly timestamp: number
}

/**
 * Records in offset order. `nextOffset` is where reading goes on; it may lie beyond the last record + 1
 * (compaction, control records).
 */
export interface ReadBatch {
  readonly records: readonly LogRecord[]
  readonly nextOffset: number
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** So long whoever reads what is new can rely on seeing that a key has ended. */
export const TOMBSTONES_KEPT_MS = 24 * 3_600_000

/** The largest record of a topic whose spec says nothing else: key and value together, in bytes. */
export const DEFAULT_RECORD_BYTES = 1_000_000

/**
 * An append whose records have no more bytes than this, each with its key, its value and
 * `RECORD_OVERHEAD_BYTES`, is atomic; a larger one may be stored in several parts. It is less than any broker
 * takes as it is shipped.
 */
export const ATOMIC_BYTES = 900_000

/** What a record takes at most beside its key and its value. */
export const RECORD_OVERHEAD_BYTES = 32

export interface TopicSpec {
  readonly topic: string
  readonly partitions: number
  /**
   * compact: keeps the last record of a key, once older than `compactionLagMs`, and a tombstone for at least
   * `TOMBSTONES_KEPT_MS`. delete: keeps all until trimmed or `retentionMs` old.
   */
  readonly cleanup: 'compact' | 'delete'
  /** Least age before compaction may drop a superseded record; default 0. */
  readonly compactionLagMs?: number
  /** Age at which records go; absent: never. Only with `delete`. */
  readonly retentionMs?: number
  /**
   * About how long a record that was superseded, and is not protected any more, may still be there: so much
   * of what counts no more has to be read by whoever reads the topic from its start. Absent: as the log
   * likes. Only with `compact`.
   */
  readonly compactWithinMs?: number
  /** Largest record, key and value together, in bytes; default `DEFAULT_RECORD_BYTES`. */
  readonly maxRecordBytes?: number
}

/**
 * First offset still held, and the offset that the next record will get. Positions count control records too:
 * end − low is no count.
 */
export interface PartitionOffsets {
  readonly low: number
  readonly end: number
}

export interface AppendResult {
  /**
   * Offset of the first record; record i has `baseOffset + i`, where nobody else writes to the partition or
   * the append is atomic.
   */
  readonly baseOffset: number
}

/**
 * The one writer of some partitions. States: `open` → `dead` (an append failed or was refused; nothing more
 * is accepted) → `closed`, or `open` → `closed`. Opening it ends no predecessor; its first acknowledged
 * record in a partition does, in that partition: from then on the predecessor's appends there fail with
 * `fenced`. So write a takeover marker to each partition first, and read for recovery only after it.
 */
export interface FencedWriter extends AsyncDisposable {
  readonly id: string
  readonly state: 'open' | 'dead' | 'closed'

  /**
   * Appends the records in their order and resolves once all replicas have acknowledged them. Up to
   * `ATOMIC_BYTES` they are one atomic batch; of a larger append that fails, or is under way, the log may
   * hold a part, which is always a prefix. Appends of one writer are carried out in the order of the calls,
   * and a later one never succeeds after an earlier one failed: what is in the log is a gapless prefix of
   * what was to be appended. The caller may have several under way. Rejects with `fenced` if a successor has
   * written there, `writer-dead` after an earlier failure, `unreachable` if the outcome is not known,
   * `too-large` for a record that is larger than the topic takes, with the signal's reason when aborted (even
   * before the call); each of them leaves the writer dead.
   */
  append(
    target: TopicPartition,
    records: readonly NewRecord[],
    options: { signal: AbortSignal },
  ): Promise<AppendResult>
}

/**
 * What a member owns from now on; `generation` grows within one membership, and says nothing between
 * memberships.
 */
export interface Assignment {
  readonly generation: number
  readonly partitions: readonly TopicPartition[]
}

/**
 * Membership of a group that shares out the partitions of some topics among its members, sticky: a partition
 * moves only if it has to. States: joining → member ⇄ rebalancing → left. Iterating yields each new
 * assignment, the latest only if several came in between; it ends after `leave` and throws if the membership
 * is lost for good. A member that stops answering loses its partitions to the others within 10 s.
 */
export interface Membership extends AsyncDisposable, AsyncIterable<Assignment> {
  /**
   * Commits how far a partition is done, as a hint for lag metrics, and proves membership: resolves true only
   * if the group's coordinator accepted it for the current generation, false if this member no longer belongs
   * to it.
   */
  commit(target: TopicPartition, nextOffset: number, options: { signal: AbortSignal }): Promise<boolean>
  /**
   * Time in ms (`elapsedMs`) of the last heartbeat the coordinator answered: whoever waits longer than the
   * session time-out sends nothing.
   */
  readonly lastHeartbeatMs: number
  leave(): Promise<void>
}

export interface ReadOptions {
  readonly signal: AbortSignal
  /**
   * First offset wanted; must lie between low and end, else the first step rejects with
   * `offset-out-of-range`; a later step does when its position has been trimmed away.
   */
  readonly from: number
  /**
   * Reading ends before this offset, for which it waits if it is not there yet; absent: it follows the
   * partition until aborted, and an abort then ends the iteration without an error.
   */
  readonly to?: number
  /**
   * Most bytes held ready and not yet taken; default 4 MiB. At least one batch is always read, whatever its
   * size.
   */
  readonly bufferBytes?: number
}

export interface MessageLog extends AsyncDisposable {
  /**
   * Makes the topics that are not there. Resolves once they can be written and read. An existing topic with
   * another number of partitions rejects with `conflict`. Of its settings those are put right that would keep
   * its records from being written or read (a limit that is smaller than the largest record, a compression
   * that the log cannot read), and those that nobody has set are set as in the spec; where that is refused,
   * or the log was opened to make no topics, the former reject with `config`, which tells how to put them
   * right. Where the log was opened to make none, `not-found` tells which are missing and how to make them.
   */
  ensureTopics(specs: readonly TopicSpec[], options: { signal: AbortSignal }): Promise<void>
  /** Removes topics with all they hold; those that do not exist are passed over. */
  deleteTopics(topics: readonly string[], options: { signal: AbortSignal }): Promise<void>
  /** The number of partitions, or null if there is no such topic. */
  partitionsOf(topic: string, options: { signal: AbortSignal }): Promise<number | null>

  /** Opens a writer under a name that fences earlier writers of the same name (see FencedWriter). */
  openWriter(id: string, options: { signal: AbortSignal }): Promise<FencedWriter>
  /**
   * Appends outside of any ownership: commands and resources. Resolves once acknowledged by all replicas. As
   * atomic as an append of a writer, and rejects as that does.
   */
  append(
    target: TopicPartition,
    records: readonly NewRecord[],
    options: { signal: AbortSignal },
  ): Promise<AppendResult>

  offsets(target: TopicPartition, options: { signal: AbortSignal }): Promise<PartitionOffsets>
  /**
   * Reads a partition in order. The consumer's pace is the reader's: at most `bufferBytes` are held ready,
   * and a consumer that does not come back holds up no other partition.
   */
  read(target: TopicPartition, options: ReadOptions): AsyncIterable<ReadBatch>
  /**
   * Reads a bounded stretch from the end backwards: yields records, newest first, until the consumer stops or
   * the low offset is reached, also where it rises meanwhile.
   */
  readBackwards(
    target: TopicPartition,
    options: { signal: AbortSignal; before?: number },
  ): AsyncIterable<LogRecord>
  /** Drops everything below the offset; a no-op below the low offset, `offset-out-of-range` above the end. */
  trim(target: TopicPartition, before: number, options: { signal: AbortSignal }): Promise<void>

  /** Joins a group over all partitions of the topics. */
  join(group: string, topics: readonly string[], options: { signal: AbortSignal }): Promise<Membership>
  /**
   * The last hint committed for each partition of a topic; null where there is none (expired, group deleted).
   */
  committed(
    group: string,
    topic: string,
    options: { signal: AbortSignal },
  ): Promise<readonly (number | null)[]>
}
