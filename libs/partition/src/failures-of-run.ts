/**
 * Counts how often each place of a sync has failed in the run at work. The second failure in one run ends it
 * (PROTOCOL.md §11). Time alone forgives nothing within a run: what comes back a minute into each try would
 * otherwise never end it.
 */

/** A fault that is gone by the next try harms no run; one that is still there ends it. */
export const FAILURES_THAT_END_A_RUN = 2

/** Places are the partitions of one sync, or null for the sync as a whole. */
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
