/** Decides after each failure whether to try again, how soon, and who has to know (PROTOCOL.md §11). */
import type { TopicPartition } from '@sluice/message-log/port'
import { concernOf } from './concern-of.ts'
import { pauseAfter } from './set-asides.ts'

/** So long a try has to last before the failures in a row that were before it are forgotten. */
const FORGIVEN_AFTER_MS = 60_000

/** What is done about failures that concern one sync alone; a target of null is the sync's membership. */
export interface SettingAside {
  /**
   * Told of each failure, with how many there were in a row. Resolves once whoever has to know does; what it
   * rejects with concerns more than this sync, unless it passes.
   */
  failed(target: TopicPartition | null, error: unknown, failures: number): Promise<void>
  /** Told that it has worked for as long as the last pause was. */
  works(target: TopicPartition | null): void
  /** Told that nobody tries it here any more. */
  left(target: TopicPartition | null): void
}

export interface TriesOptions {
  /** Told of failures that pass. */
  readonly onSetback: (target: TopicPartition | null, error: unknown) => void
  /** Absent where what is tried is no single sync's: what concerns one sync is then thrown, too. */
  readonly setAside?: SettingAside | undefined
  /** Milliseconds of a clock that never goes back; default `performance.now`. */
  readonly now?: () => number
}

/**
 * The tries of one worker, of a membership, or of a sync: what each failure means, and how long to wait then.
 */
export class Tries implements Disposable {
  readonly #options: TriesOptions
  readonly #target: TopicPartition | null
  #failures = 0
  #pauseMs = 0
  #working: NodeJS.Timeout | undefined
  readonly #now: () => number
  /** When it began, or was known to work. */
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

  /** Another try begins; once it has lasted for as long as the last pause, it counts as working. */
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
   * Gives the pause before the next try of what is set aside, 0 for what passes. Rejects with what concerns
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
    // One that fails soon after it has begun to work again fails as before: else no run would ever end by
    // that.
    if (this.#now() - this.#sinceMs >= FORGIVEN_AFTER_MS) this.#failures = 0
    this.#failures += 1
    try {
      await setAside?.failed(this.#target, error, this.#failures)
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
