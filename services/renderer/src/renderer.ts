/** The renderer service. It has a worker for each partition of each sync with an open run. */
import type { Ends } from '@sluice/flow/ends'
import { followOpenRuns, type FollowDeps, type FollowingStage } from '@sluice/partition/follow-open-runs'
import { renderPartition, type RenderDeps } from './render-partition.ts'

export type RendererDeps = FollowDeps & RenderDeps

/** Resolves once it has drained. Rejects with an error that concerns more than one sync. */
export function runRenderer(deps: RendererDeps, ends: Ends): Promise<void> {
  const stage: FollowingStage = {
    stage: 'requests',
    service: 'renderer',
    activity: 'rendering',
    reads: 'changes',
    work: (run, worker) => renderPartition(deps, run, worker),
  }
  return followOpenRuns(deps, stage, ends)
}
