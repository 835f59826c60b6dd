/** How far one process has looked for old runs of a sync. */
export class OldRuns {
  /** Offset in the sync's home partition where the search goes on; null before the first. */
  from: number | null = null
  /** When the record at that offset was written; empty if that is not known. */
  young: readonly number[] = []
  /** Ids of old runs before that offset that stay until newer runs have taken their places. */
  readonly kept = new Set<string>()
}
