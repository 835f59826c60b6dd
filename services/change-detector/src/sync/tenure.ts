/** The part of a tenure that the steps of a run see. `sync-tenure.ts` has the whole. */
import type { Fact, Step, SyncLife } from '@sluice/runs/machine/sync-life'
import type { OldRuns } from '../run/old-runs.ts'
import type { SyncOwnership } from './own-sync.ts'
import type { Ends } from '@sluice/flow/ends'
import type { RunnerDeps } from './runner-deps.ts'

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
  /** The sync's runs, after all facts that were told so far. */
  readonly life: SyncLife
  /**
   * Tells the machine a fact, which counts at once, and writes the events that follow. Resolves once they are
   * acknowledged, with what is to be done next.
   */
  tell(fact: Fact): Promise<Step>
}
