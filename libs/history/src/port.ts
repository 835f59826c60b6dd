/**
 * The index of history: what attempts were made, and where a key is mentioned. It is a cache that follows
 * from the topics, which it outlives: they are trimmed after days. It remembers how far it has read each
 * partition, in the transaction that stores what stood there. So a process that is killed goes on where it
 * was, and nothing is in it twice.
 *
 * A file that cannot be read is thrown away: the method that found out throws `corrupt`, which is retryable,
 * and the index is empty from then on. A full or failing disk is `disk`. Methods do not run side by side.
 */
import type { Attempt } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'

/** A sync's life: a reset begins another one. */
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
  /** Where only the beginning of that body is kept: how many bytes the whole one had; null: nobody knows. */
  readonly requestBodyBytes?: number | null
  readonly responseHeaders: { readonly [name: string]: string }
  readonly responseBody: string | null
}

/** What is kept of an attempt. */
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
  /** The keys of its rows; none if its request was trimmed before it was indexed. */
  readonly keys: readonly string[]
  /** Null if the index holds none. */
  readonly details: AttemptDetails | null
}

/** A record of `changes`, `retry` or `captured` about a key. */
export interface Mention {
  readonly key: string
  readonly offset: number
  /** When the log appended it, in ms since 1970. */
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

export interface IndexedAttempt extends AttemptFacts, SyncLife {
  /** Rises with the time at which attempts started. No two attempts have the same. */
  readonly id: number
  readonly partition: number
}

export interface IndexSearch {
  readonly lives: readonly SyncLife[]
  readonly runId: string | null
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
  readonly limit: number
  /** Only attempts with smaller ids. */
  readonly before: number | null
}

export interface Found {
  /** By falling id. */
  readonly attempts: readonly IndexedAttempt[]
  /** The `before` of the next page; null if there are no more. A page may be short and still have one. */
  readonly next: number | null
}

/** How many attempts of a run ended like this in one second. */
export interface FigureRow {
  /** Seconds since 1970 in which they started. */
  readonly second: number
  readonly outcome: Attempt['outcome']
  /** The bin of their durations: see `latency-bins.ts`. */
  readonly bin: number
  readonly count: number
}

/** How much it holds, and what it came across. */
export interface IndexFigures {
  readonly attempts: number
  readonly mentions: number
  readonly bytes: number
}

export interface HistoryIndex extends AsyncDisposable {
  /** True if it keeps headers and bodies. */
  readonly hasBodies: boolean
  /** From where to read a place on; null for one that was not read yet. */
  position(place: Place): number | null
  /** Stores a batch with the position after it, or nothing. Batches of a place come in order. */
  addAttempts(batch: AttemptsBatch): void
  addMentions(batch: MentionsBatch): void
  /** An abort throws the signal's reason. Throws nothing for a run or sync that it does not know. */
  search(search: IndexSearch, options: { readonly signal: AbortSignal }): Promise<Found>
  /** The attempts at one request, in the order of the topic. */
  ofRequest(of: {
    readonly runId: string
    readonly partition: number
    readonly seq: number
  }): readonly IndexedAttempt[]
  /** Where a key is mentioned, the latest first; at most `limit` places. */
  mentions(
    of: SyncLife & { readonly key: string; readonly limit: number },
  ): readonly { readonly place: Place; readonly offset: number }[]
  /** The sync and the number of a run with attempts; null if it knows none. */
  run(runId: string): (SyncLife & { readonly number: number }) | null
  /** The figures of a run, by second. */
  figures(runId: string): readonly FigureRow[]
  /**
   * Forgets, in small pieces, what is older than `before` (ms since 1970), what is beyond the largest size,
   * and what is of another life of a sync than `lives` says. The last mention of a key is kept however old it
   * is. Returns true if there may be more to do.
   */
  sweep(of: { readonly before: number; readonly lives: readonly SyncLife[] }): boolean
  size(): IndexFigures
}
