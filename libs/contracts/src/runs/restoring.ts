/** How a run tells that it brings the delivered state up to date. */

/**
 * How far a run has brought the delivered state up to date from its topics. Records are counted by their
 * offsets, so that records which compaction took away count as read.
 */
export interface Restoring {
  /** Why the state is rebuilt from the start of its topics. Null if it only takes in new records. */
  readonly why: string | null
  readonly records: number
  readonly of: number
}
