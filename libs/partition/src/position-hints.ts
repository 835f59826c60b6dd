/**
 * Commits how far a worker has come, so that tools which watch consumer groups see how much is left. Nothing
 * is ever read from it: a successor finds its position in its own output (PROTOCOL.md §5).
 */
import type { Worker } from './own-partitions.ts'

const EVERY_MS = 5_000

export interface HintOptions {
  /** The next offset that is not done; null while it is not known yet. */
  readonly position: () => number | null
  /** Called with each round, for what else is told of a partition from time to time. */
  readonly onRound?: () => Promise<void>
}

/** Committing never fails, and holds nothing up. Disposing ends it. */
export class PositionHints implements Disposable {
  readonly #worker: Pick<Worker, 'target' | 'membership'>
  readonly #options: HintOptions
  readonly #ended = new AbortController()
  readonly #timer: NodeJS.Timeout
  #told = -1
  #isBusy = false

  constructor(worker: Pick<Worker, 'target' | 'membership'>, options: HintOptions) {
    this.#worker = worker
    this.#options = options
    this.#timer = setInterval(() => this.now(), EVERY_MS)
  }

  /** Commits at once, as at the end of a run. While a commit is under way, the next round does. */
  now(): void {
    if (this.#isBusy || this.#ended.signal.aborted) return
    this.#isBusy = true
    void this.#round()
      .catch(() => undefined)
      .finally(() => (this.#isBusy = false))
  }

  async #round(): Promise<void> {
    const { target, membership } = this.#worker
    const position = this.#options.position()
    const { signal } = this.#ended
    const isNews = position !== null && position !== this.#told
    if (isNews && (await membership.commit(target, position, { signal }))) this.#told = position
    await this.#options.onRound?.()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#ended.abort(new Error('the worker has ended'))
  }
}
