/**
 * Judges a failure (PROTOCOL.md §11). `concernOf` says what it concerns: this attempt, a sync or the process.
 * `WorkAttempts` says how soon the next attempt begins, and `FailuresOfRun` when the run ends. `Suspensions`
 * reports a sync that cannot go on, while all others do (R12).
 */
import { isSluiceError, messageOf, type ErrorCode } from '@sluice/contracts/errors'
import { doublingPause } from '@sluice/flow/retry'
import type { TopicPartition } from '@sluice/message-log/port'
import type { Logger } from '@sluice/runtime/logger'
import type { StageName } from '@sluice/topics/topics'
import type { StageMetrics } from './stage-metrics.ts'

/**
 * - transient: the log was away, or a writer died or was fenced. Another takeover soon mends it.
 * - sync: something of one sync is missing, wrong or refused, and stays so until somebody mends it. That sync
 *   is suspended: its run ends as failed and says why, and attempts go on with growing pauses. All others go
 *   on.
 * - process: a bug, or the failure of something that every sync of this process needs.
 */
export type Concern = 'transient' | 'sync' | 'process'

/** The concern of an error that is not `retryable`. A retryable error is transient, whatever its code. */
const OF_CODE: { readonly [code in ErrorCode]: Concern } = {
  fenced: 'transient',
  'writer-dead': 'transient',
  // The resources, the definition or the templates of the sync are wrong.
  config: 'sync',
  template: 'sync',
  query: 'sync',
  'missing-file': 'sync',
  'not-found': 'sync',
  forbidden: 'sync',
  'schema-incompatible': 'sync',
  'too-long': 'sync',
  'too-large': 'sync',
  // The sync's topics have another number of partitions, lost records, or have records of other programs.
  conflict: 'sync',
  'offset-out-of-range': 'sync',
  'lost-topic': 'sync',
  corrupt: 'sync',
  // Kafka answers and refuses: the process lacks a right to a topic, a group or a writer of this sync.
  unreachable: 'sync',
  // The disk of the log is full or broken, and all syncs of a process share it. A disk that one run fills
  // ends that run alone.
  disk: 'process',
  // The log was closed while something was still at work on it.
  aborted: 'process',
  usage: 'process',
  internal: 'process',
}

/** The concern of a failure in the work of one sync. An error that is no `SluiceError` is a bug. */
export function concernOf(error: unknown): Concern {
  if (!isSluiceError(error)) return 'process'
  return error.retryable ? 'transient' : OF_CODE[error.code]
}

/** A failure that is gone by the next attempt harms no run; one that is still there ends it. */
export const FAILURES_THAT_END_A_RUN = 2

/**
 * Counts how often each place of a sync has failed in the run at work. A place is a partition, or null for
 * the whole sync. The second failure in one run ends the run, however long after the first one: a failure
 * that comes back a minute into each attempt would otherwise go on for ever.
 */
export class FailuresOfRun {
  readonly #last = new Map<number | null, { readonly run: number | null; readonly failures: number }>()

  /**
   * Counts a failure, and returns how many there were at this place in this run. Failures of earlier runs do
   * not count.
   */
  failed(place: number | null, run: number | null): number {
    const before = this.#last.get(place)
    const failures = before !== undefined && before.run === run ? before.failures + 1 : 1
    this.#last.set(place, { run, failures })
    return failures
  }
}

/** After an attempt that lasted this long, pauses begin with the shortest again. */
const ROW_ENDS_AFTER_MS = 60_000

/** Takes the failures that concern one sync alone. The target is null for the sync's membership. */
export interface Suspender {
  /**
   * Resolves once the failure is reported. Rejects if it cannot be reported, with an error that concerns more
   * than this sync or that is transient.
   */
  failed(target: TopicPartition | null, error: unknown): Promise<void>
  /** The target has worked for as long as the last pause was. */
  works(target: TopicPartition | null): void
  /** This process no longer works on the target. */
  left(target: TopicPartition | null): void
}

export interface WorkAttemptsOptions {
  /** Called with each failure that passes by itself. */
  readonly onTransientFailure: (target: TopicPartition | null, error: unknown) => void
  /** Absent if the work belongs to many syncs. Then a failure that concerns one sync is thrown, too. */
  readonly suspender?: Suspender | undefined
  /** Milliseconds of a clock that never goes back; default `performance.now`. */
  readonly now?: () => number
}

/** The attempts of a worker, a membership or a sync owner to do its work, and the pauses between them. */
export class WorkAttempts implements Disposable {
  readonly #options: WorkAttemptsOptions
  readonly #target: TopicPartition | null
  #failures = 0
  #pauseMs = 0
  #working: NodeJS.Timeout | undefined
  readonly #now: () => number
  /** The time at which the present attempt began, or was last known to work. */
  #sinceMs: number

  constructor(options: WorkAttemptsOptions, target: TopicPartition | null) {
    this.#options = options
    this.#target = target
    this.#now = options.now ?? (() => performance.now())
    this.#sinceMs = this.#now()
  }

  get isSuspended(): boolean {
    return this.#failures > 0
  }

  /** An attempt begins. It counts as working once it has lasted for as long as the last pause. */
  begins(): void {
    this.#sinceMs = this.#now()
    if (this.#failures > 0) this.#working = setTimeout(() => this.works(), this.#pauseMs).unref()
  }

  /** A membership works from now on. */
  joined(): void {
    this.#sinceMs = this.#now()
    this.works()
  }

  works(): void {
    clearTimeout(this.#working)
    this.#options.suspender?.works(this.#target)
  }

  /**
   * Returns the pause before the next attempt in ms, which is 0 after a transient failure. Rejects with a
   * failure that concerns the process.
   */
  async failed(error: unknown): Promise<number> {
    clearTimeout(this.#working)
    const { suspender, onTransientFailure } = this.#options
    const concern = concernOf(error)
    if (concern === 'process' || (concern === 'sync' && suspender === undefined)) throw error
    if (concern === 'transient') {
      onTransientFailure(this.#target, error)
      return 0
    }
    if (this.#now() - this.#sinceMs >= ROW_ENDS_AFTER_MS) this.#failures = 0
    this.#failures += 1
    try {
      await suspender?.failed(this.#target, error)
    } catch (unreported) {
      if (concernOf(unreported) !== 'transient') throw unreported
      onTransientFailure(this.#target, unreported)
    }
    this.#pauseMs = pauseAfter(this.#failures)
    this.#sinceMs = this.#now() + this.#pauseMs
    return this.#pauseMs
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#working)
    this.#options.suspender?.left(this.#target)
  }
}

const PAUSES = { firstMs: 1_000, maxMs: 60_000 } as const

/**
 * The pause before the next attempt in ms, after a number of failures in a row; `random` gives 0 to less than
 * 1.
 */
export function pauseAfter(failures: number, random: () => number = Math.random): number {
  // Many syncs that failed for the same reason must not all come back at the same moment.
  return doublingPause(failures, PAUSES) * (0.75 + random() / 2)
}

export interface SuspensionsOptions {
  readonly stage: StageName
  readonly sync: string
  readonly logger: Pick<Logger, 'info' | 'error'>
  readonly stageMetrics?: StageMetrics | undefined
}

/**
 * The places of one sync that a stage has suspended: partitions, or null for the whole sync. It logs the
 * reason once, and once that the sync works again. A metric shows how many places are suspended now.
 */
export class Suspensions {
  readonly #options: SuspensionsOptions
  /** The reason of each suspended place. */
  readonly #reasons = new Map<number | null, string>()

  constructor(options: SuspensionsOptions) {
    this.#options = options
  }

  /** Suspends the partition, or the whole sync for null. Logs a reason only once, however often it recurs. */
  failed(place: number | null, error: unknown): void {
    const { stage, sync, logger } = this.#options
    const reason = messageOf(error)
    if (this.#reasons.get(place) === reason) return
    this.#reasons.set(place, reason)
    this.#count()
    const fields = { sync, stage, partition: place ?? undefined, err: error }
    logger.error(fields, `the sync is suspended: ${reason}`)
  }

  /** The place works again. */
  works(place: number | null): void {
    if (!this.#reasons.delete(place)) return
    this.#count()
    const { stage, sync, logger } = this.#options
    logger.info({ sync, stage, partition: place ?? undefined }, 'the sync is worked on again')
  }

  /** This process no longer works on the place: the run ended, or another process has the partition. */
  left(place: number | null): void {
    if (this.#reasons.delete(place)) this.#count()
  }

  #count(): void {
    const { stage, sync, stageMetrics } = this.#options
    stageMetrics?.suspended(stage, sync, this.#reasons.size)
  }
}
