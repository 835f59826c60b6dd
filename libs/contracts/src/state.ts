/**
 * The three changes that can trigger a request (ARCHITECTURE.md), in the order in which a run writes them
 * (R17).
 */
export const OPS = ['removed', 'changed', 'added'] as const
export type Op = (typeof OPS)[number]

/** What the destination is believed to hold for a key; the row itself stands beside it. */
export type KeyStateKind = 'absent' | 'present' | 'content-uncertain' | 'existence-uncertain'

/** What became of a request or of one of its rows. */
export type Outcome = 'delivered' | 'rejected' | 'unknown' | 'unsent' | 'exists' | 'missing'

/** A certificate that was shown over a connection to a destination. */
export interface ShownCertificate {
  /** Who showed it: the destination's server, or Sluice as its client. */
  readonly side: 'server' | 'client'
  /** Whose it is, in one line. */
  readonly subject: string
  /** When it ends, in ms since 1970. */
  readonly expiresAt: number
}

/** The counts of a run per trigger: detected = delivered + rejected + unknown + unsent (R14). */
export interface OpCounts {
  readonly detected: number
  readonly delivered: number
  readonly rejected: number
  readonly unknown: number
  readonly unsent: number
  /** Requests made, and tries at sending them. */
  readonly requests: number
  readonly attempts: number
}

/** Counts per op; an op that never occurred may be missing. */
export type CountsByOp = { readonly [op in Op]?: OpCounts }

/** Where a request was recorded that is sent again (PROTOCOL.md §12). Its rows have the seqs of then. */
export interface ReplayOf {
  /** The seq of the change that carried it into the run of the replay. */
  readonly change: number
  /** Offset, in `commands`, of the command that asked for the replay. */
  readonly command: number
  /** The run that sent it first. */
  readonly run: number
  readonly runId: string
  readonly partition: number
  readonly seq: number
  /** Its offset in that partition of `requests`. */
  readonly offset: number
}

/**
 * Chooses recorded requests by what is known of them, and of the attempts at sending them. A request is
 * meant if one of its attempts fits in every respect. Null means any.
 */
export interface ReplayScope {
  /** Primary keys, of which the request has to have one. */
  readonly keys: readonly string[] | null
  /** The ULID of the run that sent it. */
  readonly run: string | null
  /** When the attempt began, in ms since 1970: from, inclusive, to `until`, exclusive. */
  readonly since: number | null
  readonly until: number | null
  /** The status of the answer, and what became of the attempt. */
  readonly status: number | null
  readonly outcome: Outcome | 'throttled' | null
  readonly trigger: Op | null
}
