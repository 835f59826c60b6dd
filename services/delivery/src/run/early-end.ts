/**
 * Ends a run early (PROTOCOL.md §11): somebody has cancelled it, a stage cannot go on with it, or it has
 * lasted for longer than its sync allows.
 */
import type { RunsView } from '@sluice/runs/runs-view'

export class EarlyEnd implements Disposable {
  readonly #early = new AbortController()
  readonly #over = new AbortController()
  #timer: NodeJS.Timeout | undefined

  /** `leftMs` is the time that the run may still last; null if it is not limited. */
  constructor({
    runs,
    why,
    leftMs,
  }: {
    readonly runs: RunsView
    /** Returns why nothing more of the run may be sent; null while it goes on. */
    readonly why: () => string | null
    readonly leftMs: number | null
  }) {
    // A reason that is known now counts before anything is sent.
    const known = why()
    if (known !== null) this.end(known)
    else if (leftMs !== null && leftMs <= 0) this.end(TOO_LONG)
    else {
      if (leftMs !== null) this.#timer = setTimeout(() => this.end(TOO_LONG), leftMs).unref()
      void runs
        .until(() => why() !== null, { signal: this.#over.signal })
        .then(
          () => this.end(why() ?? ''),
          // The run is over, or the view has failed. The owner of the view reports the failure.
          () => undefined,
        )
    }
  }

  /** Aborts with the reason as a text. */
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

/** The reason if a report has ended the run in this partition before its `run-end`. */
export const STAGE_ENDED = 'the run was ended before this was to be sent, since a stage could not go on'

export const TOO_LONG = 'the run lasted for longer than its maxDuration'
