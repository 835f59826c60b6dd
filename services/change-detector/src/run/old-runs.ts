/** How far one process has looked for old runs of a sync. */
export class OldRuns {
  /** Offset in the sync's home partition where the search goes on; null before the first. */
  from: number | null = null
  /** When the record there, at which the search came to its end, was written; empty where it is not known. */
  young: readonly number[] = []
  /** Ids of old runs before it that stay until newer ones have taken their places. */
  readonly kept = new Set<string>()
}
