/**
 * Times of runs: when the schedule starts them, and when they come from one part of their life to the next.
 */

/** How far the schedule of a sync has started runs. */
export interface Fired {
  /** The last instant that a run answers to, in ms since 1970. Every instant up to it is done with. */
  readonly at: number
  /** The schedule that the instant is of, as JSON. */
  readonly by: string
  /** The instant after that; null where none comes. */
  readonly next: number | null
}

/** When a run came from one part of its life to the next, in ms since 1970; null where it has not. */
export interface PhaseTimes {
  readonly publishingFrom: number | null
  readonly publishedAt: number | null
  readonly renderingFrom: number | null
  readonly renderedAt: number | null
  readonly sendingFrom: number | null
  readonly sentAt: number | null
}

/** Processes that died at work on a partition in this run (PROTOCOL.md §11). */
export interface DeathsOfRun {
  readonly run: number
  /** The number of processes in a row that came no further than where they began. */
  readonly count: number
  /** The number of all processes of the run that came no further. Null in markers of an earlier version. */
  readonly all?: number | null
}
