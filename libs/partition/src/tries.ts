/**
 * Decides after each failure whether to try again, how soon, and whether the failure is reported (PROTOCOL.md
 * §11).
 */
import type { TopicPartition } from '@sluice/message-log/port'
import { concernOf } from './concern-of.ts'
import { pauseAfter } from './set-asides.ts'

/**
 * A try that lasted for so long ends the row of failures before it: the pause after the next failure is a
 * first one. It ends nothing else. What ends a run counts by runs (`FailuresOfRun`).
 */
const ROW_ENDS_AFTER_MS = 60_000

/** What happens on failures that concern one sync alone. The target is null for the sync's membership. */
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
