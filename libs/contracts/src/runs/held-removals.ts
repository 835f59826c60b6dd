/** The removals for which the removal guard holds a run until somebody approves it (R6). */
export interface HeldRemovals {
  /** Rows that it would remove from the destination. */
  readonly removed: number
  /** Rows that the destination is believed to hold. */
  readonly rows: number
  /** Keys of at most ten of the rows that would go. */
  readonly samples: readonly string[]
}
