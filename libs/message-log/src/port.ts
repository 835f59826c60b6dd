/**
 * The log: topics with partitions of records. Fenced writers write them, and readers read them by offset.
 * Group membership decides who owns a partition. A stage finds its position in its own output (PROTOCOL.md
 * §5), so it reads by explicit offset, and committed offsets are only hints.
 *
 * Every method that can wait takes `signal`. An abort rejects with the signal's reason and leaves the log as
 * it was. An append is the exception: after an abort, it may or may not have happened. All methods may be
 * called concurrently. Errors are `SluiceError`s: `unreachable` (after the adapter's own retries, retryable),
 * `offset-out-of-range`, `fenced`, `writer-dead`, `not-found` (no such topic), `aborted` (the log was
 * closed), `too-large` (a record is larger than its topic allows), `internal` (an append of no records: the
 * caller's bug).
 */
import type { SluiceError } from '@sluice/contracts/errors'

/**
 * A record to append. A null value is a tombstone. A key is never null, so that every topic may be compacted.
 */
export interface NewRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
  /** At most 255 bytes beside the record, which the log stores and does not read. */
  readonly signature?: Uint8Array
}

/**
 * Records to append, in order. Each has a key and a value, and none has a signature. `bytes` has all keys and
 * values one after the other, and nothing else. `lengths` has the lengths of key and value of each record, in
 * turns. The caller may use the buffers again once the append is settled.
 */
export interface RecordBlock {
  readonly bytes: Uint8Array
  readonly lengths: Uint32Array
}

export type NewRecords = readonly NewRecord[] | RecordBlock

/**
 * A record as read. Its buffers are the reader's own copies. `timestamp` is the time at which the log
 * appended it, in ms since 1970.
 */
export interface LogRecord {
  readonly offset: number
  readonly key: Uint8Array
  /** Set for a record of another program that has no key. Its `key` is empty. */
  readonly lacksKey?: boolean
  readonly value: Uint8Array | null
  readonly timestamp: number
  readonly signature?: Uint8Array
  /**
   * Identifies the writer of the record. Records have the same text if and only if the same writer of this
   * log wrote them. Absent if the log does not know the writer.
   */
  readonly writer?: string
  /**
   * Set if the log cannot read this record, or several records that were appended together. In that case the
   * key is empty and the value is null.
   */
  readonly unreadable?: UnreadableBytes
}

export interface UnreadableBytes {
  /** A `corrupt` error with the reason. */
  readonly error: SluiceError
  /** True if certainly no writer of this log wrote it. */
  readonly isForeign: boolean
}

/**
 * Records in offset order. Reading goes on at `nextOffset`, which may lie beyond the last record + 1
 * (compaction, control records).
 */
export interface ReadBatch {
  readonly records: readonly LogRecord[]
  readonly nextOffset: number
  /**
   * True if the next part of the same read follows without a wait, unless reading is aborted.
   */
  readonly isPart?: boolean
  /** The end of the partition when the batch was fetched. Absent if it is not known. */
  readonly end?: number
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Tombstones stay for this time. A reader that pauses for less than it sees every key that has ended. */
export const TOMBSTONES_KEPT_MS = 24 * 3_600_000

/** The largest record of a topic whose spec says nothing else: key and value together, in bytes. */
export const DEFAULT_RECORD_BYTES = 1_000_000

/**
 * An append of at most this many bytes is atomic. Each record counts with its key, its value and
 * `RECORD_OVERHEAD_BYTES`. The log may store a larger append in several parts. The limit is below the default
 * limit of any broker.
 */
export const ATOMIC_BYTES = 900_000

/** The bytes that a record takes at most besides its key and value. */
export const RECORD_OVERHEAD_BYTES = 32

export interface TopicSpec {
  readonly topic: string
  readonly partitions: number
  /**
   * compact: keeps the last record of each key, and all records younger than `compactionLagMs`. A tombstone
   * stays for at least `TOMBSTONES_KEPT_MS`. delete: keeps all records until they are trimmed or
   * `retentionMs` old.
   */
  readonly cleanup: 'compact' | 'delete'
  /** The age from which compaction may drop a superseded record. Default 0. */
  readonly compactionLagMs?: number
  /** The age at which records go; absent: never. Only with `delete`. */
  readonly retentionMs?: number
  /**
   * The time, roughly, in which a superseded record goes once `compactionLagMs` no longer protects it. This
   * bounds the superseded records that a reader meets when it reads the topic from its start. Absent: the log
   * decides. Only with `compact`.
   */
  readonly compactWithinMs?: number
  /** The largest record, key and value together, in bytes. Default `DEFAULT_RECORD_BYTES`. */
  readonly maxRecordBytes?: number
}

/**
 * `low` is the first offset still held, and `end` is the offset that the next record will get. Control
 * records take up offsets too, so end − low is not the number of records.
 */
export interface PartitionOffsets {
  readonly low: number
  readonly end: number
}

export interface AppendResult {
  /**
   * The offset of the first record. Record i has `baseOffset + i`, if the append is atomic or no other writer
   * writes to the partition.
   */
  readonly baseOffset: number
}

/**
 * The only writer of some partitions. States: `open` → `dead` (an append failed or was refused, and it
 * accepts no more) → `closed`, or `open` → `closed`. Opening a writer does not fence its predecessor. Its
 * first acknowledged record in a partition does, but only in that partition: from then on the predecessor's
 * appends there fail with `fenced`. So a successor first writes a takeover marker to each partition, and
 * reads for recovery only after it.
 */
export interface FencedWriter extends AsyncDisposable {
  readonly id: string
  readonly state: 'open' | 'dead' | 'closed'

  /**
   * Appends the records in their order, and resolves once all replicas have acknowledged them. Up to
   * `ATOMIC_BYTES` they are one atomic batch. If a larger append fails or is under way, the log may have a
   * part of it, which is always a prefix.
   *
   * The caller may have several appends under way. The writer carries them out in the order of the calls.
   * After one has failed, no later one succeeds. So the log always has a gapless prefix of all appends.
   *
   * Rejects with `fenced` if a successor has written there, and with `writer-dead` after an earlier failure.
   * If the outcome is not known, it rejects with `unreachable`. A record that is larger than the topic allows
   * is `too-large`. When aborted, even before the call, it rejects with the signal's reason. Each of these
   * leaves the writer dead.
   */
  append(target: TopicPartition, records: NewRecords, options: { signal: AbortSignal }): Promise<AppendResult>
}

/**
 * The partitions that a member owns from now on. `generation` grows within one membership, and cannot be
 * compared between memberships.
 */
export interface Assignment {
  readonly generation: number
  readonly partitions: readonly TopicPartition[]
}

/**
 * Membership of a group, which shares out the partitions of some topics among its members. Sharing is sticky:
 * a partition moves only if it has to. States: joining → member ⇄ rebalancing → left. Iterating yields each
 * new assignment, but only the latest if several came in between. It ends after `leave`, and throws if the
 * membership is lost for good. A member that stops answering loses its partitions to the others within 10 s.
 */
export interface Membership extends AsyncDisposable, AsyncIterable<Assignment> {
  /**
   * Commits how far a partition is done, as a hint for lag metrics, and proves membership. Resolves true only
   * if the group's coordinator accepted it for the current generation. Resolves false if this member no
   * longer belongs to that generation.
   */
  commit(target: TopicPartition, nextOffset: number, options: { signal: AbortSignal }): Promise<boolean>
  /**
   * The time in ms (`elapsedMs`) of the last heartbeat that the coordinator answered. An owner that has had
   * no answer for longer than the session time-out sends nothing.
   */
  readonly lastHeartbeatMs: number
  leave(): Promise<void>
}

/**
 * empty: the group has no member, or nobody ever joined it. rebalancing: its members share out the
 * partitions, and some partitions have no owner meanwhile.
 */
export type GroupState = 'empty' | 'rebalancing' | 'at-work'

export interface ReadOptions {
  readonly signal: AbortSignal
  /**
   * The first offset wanted, between low and end. Otherwise the first step rejects with
   * `offset-out-of-range`. A later step rejects with it too, if its position has been trimmed away.
   */
  readonly from: number
  /**
   * Reading ends before this offset, and waits for it if the log has not come that far. Absent: reading
   * follows the partition until it is aborted, and then an abort ends the iteration without an error.
   */
  readonly to?: number
  /**
   * The bytes that reading holds ready at most. Default 4 MiB. It always fetches at least one batch, whatever
   * its size.
   */
  readonly bufferBytes?: number
}

/**
 * Says that a call has waited for the log for some seconds, or that no call waits that long any more. `what`
 * says what the call does.
 */
export type LogStall =
  | { readonly kind: 'stalled'; readonly what: string; readonly sinceMs: number }
  | { readonly kind: 'over'; readonly lastedMs: number }

export interface MessageLog extends AsyncDisposable {
  /**
   * Makes the missing topics. Resolves once they can be written and read. Rejects with `conflict` if a topic
   * has another number of partitions.
   *
   * It corrects settings of existing topics with which records could not be written or read: a limit below
   * the largest record, or a compression that the log cannot read. It also sets the settings of the spec that
   * nobody has set.
   *
   * If the log was opened to make no topics, it rejects with `not-found` for missing ones, and the error says
   * how to make them. If it must not correct the settings, or lacks the right to, it rejects with `config`,
   * and the error says how to correct them.
   */
  ensureTopics(specs: readonly TopicSpec[], options: { signal: AbortSignal }): Promise<void>
  /** Removes topics with all their records, and ignores topics that do not exist. */
  deleteTopics(topics: readonly string[], options: { signal: AbortSignal }): Promise<void>
  /** Resolves with the number of partitions, or null if there is no such topic. */
  partitionsOf(topic: string, options: { signal: AbortSignal }): Promise<number | null>

  /** Opens a writer under a name that fences earlier writers of the same name (see FencedWriter). */
  openWriter(id: string, options: { signal: AbortSignal }): Promise<FencedWriter>
  /**
   * Appends records of partitions that have no owner: commands and resources. Resolves once all replicas have
   * acknowledged the records. The append is as atomic as an append of a writer, and rejects with the same
   * errors.
   */
  append(
    target: TopicPartition,
    records: readonly NewRecord[],
    options: { signal: AbortSignal },
  ): Promise<AppendResult>

  offsets(target: TopicPartition, options: { signal: AbortSignal }): Promise<PartitionOffsets>
  /**
   * Reads a partition in order, at the pace of the consumer. At most `bufferBytes` are held ready. A consumer
   * that does not come back delays no other partition.
   */
  read(target: TopicPartition, options: ReadOptions): AsyncIterable<ReadBatch>
  /**
   * Reads backwards from the end, the newest record first. It ends when the consumer stops or it comes to the
   * low offset, which may rise meanwhile.
   */
  readBackwards(
    target: TopicPartition,
    options: { signal: AbortSignal; before?: number },
  ): AsyncIterable<LogRecord>
  /**
   * Drops all records below the offset. Does nothing below the low offset; `offset-out-of-range` above the
   * end.
   */
  trim(target: TopicPartition, before: number, options: { signal: AbortSignal }): Promise<void>

  /** Joins a group over all partitions of the topics. */
  join(group: string, topics: readonly string[], options: { signal: AbortSignal }): Promise<Membership>
  /**
   * Resolves with the last committed hint of each partition of a topic. It is null for a partition without a
   * hint: nobody made one, it expired, or the group was deleted.
   */
  committed(
    group: string,
    topic: string,
    options: { signal: AbortSignal },
  ): Promise<readonly (number | null)[]>
  /**
   * Resolves with the state of each of these groups, as its coordinator sees it. A member that has died
   * counts until its session is over, which is within 10 s. Rejects with `config` for a user without the
   * right to look at one of the groups.
   */
  groupStates(
    groups: readonly string[],
    options: { signal: AbortSignal },
  ): Promise<ReadonlyMap<string, GroupState>>
}
