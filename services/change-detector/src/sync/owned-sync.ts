/** A sync that this detector owns, as the steps of a run see it. `SyncOwner` implements it. */
import type { HeldRemovals } from '@sluice/contracts/records'
import type { Fact, Next, Step, SyncLife } from '@sluice/runs/machine/sync-life'
import type { RunState } from '@sluice/runs/machine/run-events'
import type { Ends } from '@sluice/flow/ends'
import type { SyncOwnership } from './own-sync.ts'
import type { RunnerDeps } from './runner-deps.ts'

/** The progress of one process in its search for old runs of a sync. */
export class OldRuns {
  /** Offset in the sync's home partition where the search goes on; null before the first. */
  from: number | null = null
  /** Times of the record at that offset, which was too young to go; empty if they are not known. */
  young: readonly number[] = []
  /** Ids of old runs before that offset that stay until newer runs have taken their places. */
  readonly kept = new Set<string>()
}

/** A run that found nothing to do. A later run finds the same as long as nothing that it read has changed. */
export interface IdleFindings {
  /** Number of the last run that compared rows, or found that it need not. */
  readonly run: number
  readonly definition: string | null
  /** The ends of the topics of the delivered state, from before the state was brought up to date. */
  readonly ends: string
  readonly isModelUnchanged: () => boolean
  /** The time at which rows were compared, ms since 1970. */
  readonly at: number
  readonly found: Found
}

type Found = Pick<
  RunState,
  'rowsRead' | 'rowsInvalid' | 'invalidSamples' | 'undecided' | 'counts' | 'notices' | 'faults'
>

/** What is to be done with a run once its changes are found, or published. */
export interface Detection {
  readonly next: Next
  /** The removals, or the new destination, that somebody has to approve first; null if none. */
  readonly toApprove: HeldRemovals | null
}

export interface OwnedSync {
  readonly sync: string
  readonly deps: RunnerDeps
  readonly ownership: SyncOwnership
  /** `drain` ends all but publishing; `abort` ends that, too. Both abort when one half of the work fails. */
  readonly ends: Ends
  /** Ids of the runs that this process has begun, now or when it owned the sync before. */
  readonly startedHere: Set<string>
  /**
   * The progress of this process in its search for runs to forget. The process keeps it for its next takeover
   * of the sync.
   */
  readonly oldRuns: OldRuns
  /** The findings of the run before, if it found nothing to do. */
  lastIdle: IdleFindings | null
  /**
   * Aborts once another run is queued. The run of a stream then ends for it, but first carries out the
   * command that it is of. A run over a table pays no heed to it.
   */
  readonly asked: AbortSignal
  /** Aborts once the sync is edited or paused. The run of a stream then ends at once. */
  readonly edited: AbortSignal
  /**
   * By partition, the last slice of the run at work of which the detector has heard; null: it has none. The
   * detection of a stream sets it, and a decision of a person is about the rows up to there.
   */
  heard: readonly number[] | null
  /** The sync's runs, after all facts so far. */
  readonly life: SyncLife
  /**
   * Gives the machine a fact, which counts at once, and writes the events that follow. Resolves once they are
   * acknowledged, with what is to be done next.
   */
  step(fact: Fact): Promise<Step>
}
