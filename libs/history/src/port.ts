/**
 * The history: which attempts were made, and where a key is mentioned. The topics hold it for days. The index
 * follows them and keeps it for longer. It remembers how far it has read each partition, in the transaction
 * that stores the records. So a process that is killed goes on where it was, and nothing is stored twice.
 *
 * An index file that cannot be read is replaced by an empty one. The method that found out throws `corrupt`,
 * which is retryable. A full or failing disk throws `disk`.
 */
import type { Attempt } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'

/** One life of a sync, which lasts until it is reset. */
export interface SyncLife {
  readonly sync: string
  readonly incarnation: string
}

export type FollowedTopic = 'attempts' | 'changes' | 'retry' | 'captured'

/** A partition of one of a sync's topics. */
export interface Place extends SyncLife {
  readonly topic: FollowedTopic
  readonly partition: number
}

/** Headers and bodies, redacted as in the topics. */
export interface AttemptDetails {
  readonly requestHeaders: { readonly [name: string]: string }
  readonly requestBody: string | null
  /** The length of the whole body where only its beginning is kept; null if that is not known. */
  readonly requestBodyBytes?: number | null
  readonly responseHeaders: { readonly [name: string]: string }
  readonly responseBody: string | null
}

/** The fields of an attempt that the index keeps. */
export type AttemptFacts = Pick<
  Attempt,
  | 'run'
  | 'runId'
  | 'seq'
  | 'requestOffset'
  | 'attempt'
  | 'trigger'
  | 'outcome'
  | 'status'
  | 'error'
  | 'method'
  | 'url'
  | 'startedAt'
  | 'durationMs'
> & {
  /** Its offset in `attempts`. */
  readonly offset: number
  /** The keys of its rows. It has none if its request was trimmed before it was indexed. */
  readonly keys: readonly string[]
  /** Null if the index holds none. */
  readonly details: AttemptDetails | null
}

/** A record of `changes`, `retry` or `captured` about a key. */
export interface Mention {
  readonly key: string
  readonly offset: number
  /** The time at which the log appended it, in ms since 1970. */
  readonly at: number
}

export interface AttemptsBatch {
  readonly place: Place
  readonly attempts: readonly AttemptFacts[]
  /** The offset from which the partition is read on. */
  readonly next: number
}

export interface MentionsBatch {
  readonly place: Place
  readonly mentions: readonly Mention[]
  readonly next: number
}

/** An attempt with its place. */
export interface FoundAttempt extends AttemptFacts, SyncLife {
  readonly partition: number
}

/** A run of a sync: its ULID, and its number among the sync's runs. */
export interface NumberedRun {
  readonly id: string
  readonly number: number
}

export interface AttemptFilter {
  readonly run: NumberedRun | null
  readonly key: string | null
  readonly trigger: Op | null
  /** Both inclusive. */
  readonly status: { readonly from: number; readonly to: number } | null
  readonly outcome: Attempt['outcome'] | null
  /** ms since 1970: from `since`, inclusive, to `until`, exclusive. */
  readonly since: number | null
  readonly until: number | null
  /** In lower case; looked for in errors. */
  readonly search: string | null
  /** True to look for it in bodies, too. */
  readonly searchesBodies: boolean
}

export interface AttemptSearch extends AttemptFilter {
  readonly lives: readonly SyncLife[]
  readonly limit: number
  /** The place that a page before gave; null for the first page. */
  readonly before: SearchPlace | null
}

/** The place where a search goes on: an id of the index, or the offsets below which partitions are read. */
export type SearchPlace = number | PartitionOffsets
export type PartitionOffsets = readonly (readonly [partition: string, offset: number])[]

export interface Found {
  /** The newest first. */
  readonly attempts: readonly FoundAttempt[]
  /**
   * True if there may be more. A page may be short or empty although there is more, if its search took too
   * long.
   */
  readonly hasMore: boolean
  /** The `before` of the page that goes on after the first `count` of these attempts. */
  placeAfter(count: number): SearchPlace | null
  /** The search ended early and did not look at attempts before this time (ms since 1970). */
  readonly lookedBackTo: number | null
}

/** The number of attempts of a run that started in one second and ended alike. */
export interface AttemptCount {
  /** Seconds since 1970. */
  readonly second: number
  readonly outcome: Attempt['outcome']
  /** The bin of their durations: see `latency-bins.ts`. */
  readonly bin: number
  readonly count: number
}

/** The number of attempts of a run that ended alike. */
export interface AnswerCount {
  readonly outcome: Attempt['outcome']
  readonly status: number | null
  readonly error: string | null
  readonly count: number
}

/** The size of the index. */
export interface IndexSize {
  readonly attempts: number
  readonly mentions: number
  readonly bytes: number
}

export type RunPlace = SyncLife & { readonly run: NumberedRun }

/**
 * Answers questions about the history. A process asks its index, or the topics themselves where no index has
 * all that they hold. Methods may be called concurrently. An abort throws the signal's reason. An unknown run
 * or sync gives an empty answer, not an error.
 */
export interface HistoryReader {
  search(search: AttemptSearch, options: { readonly signal: AbortSignal }): Promise<Found>
  /** The attempts at one request, in the order of the topic. */
  ofRequest(
    request: RunPlace & { readonly partition: number; readonly seq: number },
    options: { readonly signal: AbortSignal },
  ): Promise<readonly FoundAttempt[]>
  /** Finds the places that mention a key; at most the `limit` latest ones. */
  mentions(
    key: SyncLife & { readonly key: string; readonly limit: number },
    options: { readonly signal: AbortSignal },
  ): Promise<readonly { readonly place: Place; readonly offset: number }[]>
  /**
   * Counts the attempts of a run, without attempt 0, which sent nothing. Several counts may have the same
   * second, outcome and bin. An index that an earlier version wrote counts attempt 0, too.
   */
  counts(run: RunPlace, options: { readonly signal: AbortSignal }): Promise<readonly AttemptCount[]>
  /**
   * Counts at most `limit` attempts of a run by status and error. Attempt 0 counts, since rows that could not
   * be rendered have only that one.
   */
  answers(
    run: RunPlace & { readonly limit: number },
    options: { readonly signal: AbortSignal },
  ): Promise<readonly AnswerCount[]>
}

export interface HistoryIndex extends HistoryReader, AsyncDisposable {
  /** True if it keeps headers and bodies. */
  readonly hasBodies: boolean
  /** The offset from which a place is read on; null if it was not read yet. */
  position(place: Place): number | null
  /** Stores a batch with the position after it, or nothing. Batches of a place come in order. */
  addAttempts(batch: AttemptsBatch): void
  addMentions(batch: MentionsBatch): void
  /** The sync and the number of a run with attempts; null if it knows none. */
  run(runId: string): (SyncLife & { readonly number: number }) | null
  /**
   * Forgets one small piece of what is older than `before` (ms since 1970), exceeds the largest size, or
   * belongs to another life of a sync than `lives` says. The last mention of a key is kept however old it is.
   * Returns true if there may be more to do.
   */
  sweep(options: { readonly before: number; readonly lives: readonly SyncLife[] }): boolean
  size(): IndexSize
}
