/** The two signals that end work from outside. */
export interface Ends {
  /**
   * Aborts when the work is to end in good order. Nothing new begins then. Work under way is finished where
   * an interruption would be worse: a run that is being published, for example.
   */
  readonly drain: AbortSignal
  /** Aborts when the work is to end at once. It may abort without `drain`, as when a process is killed. */
  readonly abort: AbortSignal
}

/** Aborts with the first of all given signals, for work that may be interrupted at any time. */
export function endingOf({ drain, abort }: Ends, ...others: readonly AbortSignal[]): AbortSignal {
  return AbortSignal.any([drain, abort, ...others])
}

/** Adds one more reason to end at once. `drain` aborts whenever `abort` does. */
export function endingAlso(ends: Ends, signal: AbortSignal): Ends {
  return { drain: endingOf(ends, signal), abort: AbortSignal.any([ends.abort, signal]) }
}

/** Resolves once the signal aborts. */
export function endOf(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}
