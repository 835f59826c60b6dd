/** What the steps of a run see of the tenure that they are part of; `sync-tenure.ts` has the whole. */
import type { Fault } from '@sluice/contracts/records'
import type { OldRuns } from '../run/old-runs.ts'
import type { SyncOwnership } from './own-sync.ts'
import type { RunState } from '../run/run-events.ts'
import type { RunnerDeps, RunnerEnds } from './runner-deps.ts'

/** A run that is at work. */
export interface RunAtWork {
  state: RunState
  readonly cancel: AbortController
}

export interface Tenure {
  readonly sync: string
  readonly deps: RunnerDeps
  readonly ownership: SyncOwnership
  /** Ends all but publishing; `publishing` ends that, too. Both abort when one half of the work fails. */
  readonly ends: RunnerEnds
  /** Ids of the runs that this process has begun, in this tenure or before. */
  readonly begunHere: Set<string>
  /** How far this process has looked for runs to forget, in this tenure or before. */
  readonly oldRuns: OldRuns
  /** Number of the last run. */
  lastRun: number
  /** True if the next run is the sync's first: none has been through its model so far. */
  first: boolean
  /** Where earlier runs lost track of changes, and no complete run has taken that into account. */
  readonly faults: readonly Fault[]
  /** What an earlier owner left at work, to be adopted or sealed before another run starts. */
  open: RunState | null
  running: RunAtWork | null
  /**
   * Writes a run's event; resolves once it is acknowledged. What is at work is tracked, so that a cancel
   * counts from then on.
   */
  write(run: RunState): Promise<void>
  /** Lets a run wait until somebody approves it. Nothing of it is published. */
  hold(run: RunState): Promise<void>
  /** Queues a run in place of one that was cut, unless what is queued already does as well. */
  queueAnew(cut: RunState): Promise<void>
}
