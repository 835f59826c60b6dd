/** The delivery service: a worker for each partition of each sync with an open run, and one for tests. */
import type { Ends } from '@sluice/flow/ends'
import { followOpenRuns, type FollowDeps, type FollowingStage } from '@sluice/partition/follow-open-runs'
import { deliverPartition } from './deliver-partition.ts'
import { Neighbours } from './destination/neighbours.ts'
import type { DeliverDeps } from './run/open-run.ts'
import { followTests } from './tests/follow-tests.ts'

export type DeliveryDeps = FollowDeps & Omit<DeliverDeps, 'neighbours'>

/** Resolves once drained. Rejects with an error that concerns more than one sync. */
export async function runDelivery(deps: DeliveryDeps, ends: Ends): Promise<void> {
  const sending = { ...deps, neighbours: new Neighbours(deps) }
  const stage: FollowingStage = {
    stage: 'attempts',
    service: 'delivery',
    activity: 'delivery',
    reads: 'requests',
    work: (run, worker) => deliverPartition(sending, run, worker),
  }
  const failed = new AbortController()
  const both: Ends = { drain: AbortSignal.any([ends.drain, failed.signal]), abort: ends.abort }
  const parts = [followOpenRuns(deps, stage, both), followTests(deps, both)].map(part =>
    part.catch((error: unknown) => {
      failed.abort(error)
      throw error
    }),
  )
  await Promise.all(parts).finally(() => Promise.allSettled(parts))
}
