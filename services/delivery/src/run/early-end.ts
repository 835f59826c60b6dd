/**
 * Ends the rest of a run before its time. The reasons: somebody has cancelled the run, it has ended because a
 * stage cannot go on, or it has lasted for longer than its sync allows (PROTOCOL.md §11).
 */
import type { RunsView } from '@sluice/runs/runs-view'

export class EarlyEnd implements Disposable {
  readonly #early = new AbortController()
  readonly #over = new AbortController()
  #timer: NodeJS.Timeout | undefined

  /** `leftMs` is how much longer the run may last; null: for ever. */
  constructor(of: {
    readonly runs: RunsView
    /** Why nothing more of it is to be sent; null where it goes on. */
    readonly why: () => string | null
    readonly leftMs: number | null
  }) {
    const { runs, why, leftMs } = of
    // A reason that is known already counts before anything is sent.
    const known = why()
    if (known !== null) this.end(known)
    else if (leftMs !== null && leftMs <= 0) this.end(TOO_LONG)
    else {
      if (leftMs !== null) this.#timer = setTimeout(() => this.end(TOO_LONG), leftMs).unref()
      void runs
        .until(() => why() !== null, { signal: this.#over.signal })
        .then(
          () => this.end(why() ?? ''),
          // The run is over, or the view failed, which its owner reports.
          () => undefined,
        )
    }
  }

  /** Aborts with a text that says why. */
  get signal(): AbortSignal {
    return this.#early.signal
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#over.abort()
  }

  /** Only the first reason counts. */
  end(why: string): void {
    this.#early.abort(why)
  }
}

export const TOO_LONG = 'the run lasted for longer than its maxDuration'
