/**
 * What a run may wait for. A process of an earlier version reads no report with a kind that it does not know.
 */

export const WAIT_KINDS = [
  'queued', // for the run before it, for its turn to be compared, or for removals that go first
  'parked', // Processes died at work on the sync, one after the other.
  'approval',
  'detector', // No change-detector is at work.
  'renderer', // No renderer is at work.
  'delivery', // No delivery is at work.
  'takeover', // The owner of a partition is being replaced, or what it had sent may still arrive.
  'secret', // A secret of the destination is missing.
  'token', // The token endpoint gives no access token.
  'throttled', // The API asked for a pause.
  'limit', // A limit of the rate or of the concurrency is reached.
  'breaker', // The destination failed so often that nothing is sent.
  'limits-store', // What keeps the limits does not answer, or may have forgotten them.
  'tries', // Requests that failed wait for their next try.
] as const

export type WaitKind = (typeof WAIT_KINDS)[number]

/** A wait as its owner sees it, who has not looked since when. */
export type WaitNow = Omit<Wait, 'since'>

/** Times are ms since 1970. */
export interface Wait {
  readonly kind: WaitKind
  readonly since: number
  /** When it is over at the latest; null where nobody knows. */
  readonly until: number | null
  /** In a sentence, for people. */
  readonly detail: string
}
