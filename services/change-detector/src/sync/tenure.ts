/** The part of a tenure that the steps of a run see. `sync-tenure.ts` has the whole. */
import type { Fact, Step, SyncLife } from '@sluice/runs/machine/sync-life'
import type { RunState } from '@sluice/runs/machine/run-events'
import type { Ends } from '@sluice/flow/ends'
import type { SyncOwnership } from './own-sync.ts'
import type { RunnerDeps } from './runner-deps.ts'

/** How far one process has looked for old runs of a sync. */
export class OldRuns {
  /** Offset in the sync's home partition where the search goes on; null before the first. */
  from: number | null = null
  /** When the record at that offset was written; empty if that is not known. */
  young: readonly number[] = []
  /** Ids of old runs before that offset that stay until newer runs have taken their places. */
  readonly kept = new Set<string>()
}

/** A run that found nothing to do. A later run finds the same as long as nothing that it read has changed. */
export interface Looked {
  /** The last run that looked, or that found nothing changed. */
  readonly run: number
  readonly definition: string | null
  /**
   * Where the topics ended that the delivered state follows from, before the state was brought up to date.
   */
  readonly ends: string
  readonly isModelStillSo: () => boolean
  /** When rows were compared, ms since 1970. */
  readonly at: number
  readonly found: Found
}

type Found = Pick<
  RunState,
  'rowsRead' | 'rowsInvalid' | 'invalidSamples' | 'undecided' | 'counts' | 'notices' | 'faults'
>

export interface Tenure {
  readonly sync: string
  readonly deps: RunnerDeps
  readonly ownership: SyncOwnership
  /** `drain` ends all but publishing; `abort` ends that, too. Both abort when one half of the work fails. */
  readonly ends: Ends
  /** Ids of the runs that this process has begun, in this tenure or before. */
  readonly startedHere: Set<string>
  /** How far this process has looked for runs to forget, in this tenure or before. */
  readonly oldRuns: OldRuns
  /** What the run before found, if it found nothing to do. */
  looked: Looked | null
  /** The sync's runs, after all facts that were told so far. */
  readonly life: SyncLife
  /**
   * Tells the machine a fact, which counts at once, and writes the events that follow. Resolves once they are
   * acknowledged, with what is to be done next.
   */
  tell(fact: Fact): Promise<Step>
}
