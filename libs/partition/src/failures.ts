/**
 * Judges a failure (PROTOCOL.md §11): whether it concerns a try, a sync or the process
 * (`concernOf`), how soon another try begins (`Tries`), when it ends the run (`FailuresOfRun`), and what is
 * told of a sync that cannot go on while all others do (`SetAsides`, R12).
 */
import { isSluiceError, messageOf, type ErrorCode } from '@sluice/contracts/errors'
import { doublingPause } from '@sluice/flow/retry'
import type { TopicPartition } from '@sluice/message-log/port'
import type { Logger } from '@sluice/runtime/logger'
import type { StageName } from '@sluice/topics/topics'
import type { Figures } from './figures.ts'

/**
 * - passing: the log was away, or a writer died or was fenced. Another takeover mends it, soon.
 * - sync: something of one sync is missing, wrong or refused, and stays so until somebody sees to it. That
 *   sync is set aside: its run ends as failed and says why, and it is tried again with growing pauses. All
 *   others go on.
 * - process: a bug, or what no sync of this process can do without.
 */
export type Concern = 'passing' | 'sync' | 'process'

/** The concern of an error that is not `retryable`. A retryable error passes, whatever its code. */
const OF_CODE: { readonly [code in ErrorCode]: Concern } = {
  fenced: 'passing',
  'writer-dead': 'passing',
  /** Its resources, its definition or its templates. */
  config: 'sync',
  template: 'sync',
  query: 'sync',
  'missing-file': 'sync',
  'not-found': 'sync',
  forbidden: 'sync',
  'schema-incompatible': 'sync',
  'too-long': 'sync',
  'too-large': 'sync',
  /**
   * The sync's topics have another number of partitions, are emptied or deleted, or hold records that are not
   * Sluice's.
   */
  conflict: 'sync',
  'offset-out-of-range': 'sync',
  'lost-topic': 'sync',
  corrupt: 'sync',
  /** Kafka answers and refuses: the process lacks a right to a topic, a group or a writer of this sync. */
  unreachable: 'sync',
  /**
   * The disk of the log is full or broken. All syncs of a process share it. A full disk of one run ends that
   * run alone.
   */
  disk: 'process',
  /** The log was closed while something was still at work on it. */
  aborted: 'process',
  usage: 'process',
  internal: 'process',
}

/** Says what a failure in the work of one sync concerns. An error that is no `SluiceError` is a bug. */
export function concernOf(error: unknown): Concern {
  if (!isSluiceError(error)) return 'process'
  return error.retryable ? 'passing' : OF_CODE[error.code]
}

/** A fault that is gone by the next try harms no run; one that is still there ends it. */
export const FAILURES_THAT_END_A_RUN = 2

/**
 * Counts how often each place of a sync has failed in the run at work. The second failure in one run ends it.
 * Time alone forgives nothing within a run: what comes back a minute into each try would otherwise never end
 * it. Places are the partitions of the sync, or null for the sync as a whole.
 */
export class FailuresOfRun {
  readonly #last = new Map<number | null, { readonly run: number | null; readonly failures: number }>()

  /**
   * Takes a failure in this run, and gives how many there were in it at this place. A failure in an earlier
   * run says nothing of this run, of which nothing was tried yet.
   */
  failed(place: number | null, run: number | null): number {
    const before = this.#last.get(place)
    const failures = before !== undefined && before.run === run ? before.failures + 1 : 1
    this.#last.set(place, { run, failures })
    return failures
  }
}

/**
 * A try that lasted for so long ends the row of failures before it: the pause after the next failure is a
 * first one. It ends nothing else. What ends a run counts by runs (`FailuresOfRun`).
 */
const ROW_ENDS_AFTER_MS = 60_000

/** Takes the failures that concern one sync alone. The target is null for the sync's membership. */
export interface SettingAside {
  /**
   * Told of each failure. Resolves once the failure is reported. A rejection concerns more than this sync,
   * unless its error passes.
   */
  failed(target: TopicPartition | null, error: unknown): Promise<void>
  /** Told that the target has worked for as long as the last pause was. */
  works(target: TopicPartition | null): void
  /** Told that this process tries the target no more. */
  left(target: TopicPartition | null): void
}

export interface TriesOptions {
  /** Told of each failure that passes by itself. */
  readonly onSetback: (target: TopicPartition | null, error: unknown) => void
  /** Absent where the work belongs to many syncs. A failure that concerns one sync is thrown then, too. */
  readonly setAside?: SettingAside | undefined
  /** Milliseconds of a clock that never goes back; default `performance.now`. */
  readonly now?: () => number
}

/**
 * The tries of one worker, of a membership, or of a sync. It says what each failure means, and how long to
 * wait after it.
 */
export class Tries implements Disposable {
  readonly #options: TriesOptions
  readonly #target: TopicPartition | null
  #failures = 0
  #pauseMs = 0
  #working: NodeJS.Timeout | undefined
  readonly #now: () => number
  /** When the present try began, or was last known to work. */
  #sinceMs: number

  constructor(options: TriesOptions, target: TopicPartition | null) {
    this.#options = options
    this.#target = target
    this.#now = options.now ?? (() => performance.now())
    this.#sinceMs = this.#now()
  }

  get isAside(): boolean {
    return this.#failures > 0
  }

  /** Another try begins. It counts as working once it has lasted for as long as the last pause. */
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
    this.#options.setAside?.works(this.#target)
  }

  /**
   * Gives the pause before the next try: 0 after a failure that passes. Rejects with a failure that concerns
   * the process.
   */
  async failed(error: unknown): Promise<number> {
    clearTimeout(this.#working)
    const { setAside, onSetback } = this.#options
    const concern = concernOf(error)
    if (concern === 'process' || (concern === 'sync' && setAside === undefined)) throw error
    if (concern === 'passing') {
      onSetback(this.#target, error)
      return 0
    }
    if (this.#now() - this.#sinceMs >= ROW_ENDS_AFTER_MS) this.#failures = 0
    this.#failures += 1
    try {
      await setAside?.failed(this.#target, error)
    } catch (untold) {
      if (concernOf(untold) !== 'passing') throw untold
      onSetback(this.#target, untold)
    }
    this.#pauseMs = pauseAfter(this.#failures)
    this.#sinceMs = this.#now() + this.#pauseMs
    return this.#pauseMs
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#working)
    this.#options.setAside?.left(this.#target)
  }
}

const PAUSES = { firstMs: 1_000, maxMs: 60_000 } as const

/**
 * How long to wait before the next try, after so many failures in a row; `random` is at least 0 and below 1.
 */
export function pauseAfter(failures: number, random: () => number = Math.random): number {
  // Many syncs that failed for the same reason must not all come back at the same moment.
  return doublingPause(failures, PAUSES) * (0.75 + random() / 2)
}

export interface SetAsideOf {
  readonly stage: StageName
  readonly sync: string
  readonly logger: Pick<Logger, 'info' | 'error'>
  readonly figures?: Figures | undefined
}

/**
 * What a stage knows of one sync that is set aside; places are its partitions, or null for the sync as a
 * whole. The stage logs the reason once, and once that the sync works again. A metric shows what is set aside
 * now.
 */
export class SetAsides {
  readonly #of: SetAsideOf
  /** The reason of each place that is set aside. */
  readonly #reasons = new Map<number | null, string>()

  constructor(of: SetAsideOf) {
    this.#of = of
  }

  /** Takes a failure. The same reason is logged once, however often the sync fails for it. */
  failed(place: number | null, error: unknown): void {
    const { stage, sync, logger } = this.#of
    const reason = messageOf(error)
    if (this.#reasons.get(place) === reason) return
    this.#reasons.set(place, reason)
    this.#count()
    const what = { sync, stage, partition: place ?? undefined, err: error }
    logger.error(what, `the sync is set aside: ${reason}`)
  }

  /** It works again. */
  works(place: number | null): void {
    if (!this.#reasons.delete(place)) return
    this.#count()
    const { stage, sync, logger } = this.#of
    logger.info({ sync, stage, partition: place ?? undefined }, 'the sync is worked on again')
  }

  /** This process tries the place no more: the run has ended, or another process has the partition. */
  left(place: number | null): void {
    if (this.#reasons.delete(place)) this.#count()
  }

  #count(): void {
    const { stage, sync, figures } = this.#of
    figures?.setAside(stage, sync, this.#reasons.size)
  }
}
