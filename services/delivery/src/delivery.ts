/** The delivery service: a worker for each partition of each sync with an open run. */
import type { Ends } from '@sluice/flow/ends'
import { followOpenRuns, type FollowDeps, type FollowingStage } from '@sluice/partition/follow-open-runs'
import { deliverPartition } from './deliver-partition.ts'
import type { DeliverDeps } from './run/open-run.ts'

export type DeliveryDeps = FollowDeps & DeliverDeps

/** Resolves once drained; rejects with what concerns more than one sync. */
export function runDelivery(deps: DeliveryDeps, ends: Ends): Promise<void> {
  const stage: FollowingStage = {
    stage: 'attempts',
    service: 'delivery',
    activity: 'delivery',
    reads: 'requests',
    work: (run, worker) => deliverPartition(deps, run, worker),
  }
  return followOpenRuns(deps, stage, ends)
}
