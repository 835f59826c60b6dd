/** How work ends from outside, in two steps. */
export interface Ends {
  /**
   * Aborts when the work is to end in good order: nothing new begins, and what would be worse if cut goes on
   * to its end. A run that is being published is published to its end, for example.
   */
  readonly drain: AbortSignal
  /** Aborts when the work is to end at once. `drain` has aborted by then, or aborts with it. */
  readonly abort: AbortSignal
}
