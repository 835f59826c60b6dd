/** The renderer service: a worker for each partition of each sync with an open run. */
import type { Holds } from '@sluice/holds/port'
import type { Logger } from '@sluice/runtime/logger'
import { followOpenRuns } from '@sluice/stage/follow-open-runs'
import type { Readiness } from '@sluice/stage/own-partitions'
import type { RunsView } from '@sluice/stage/runs-view'
import { syncTopics } from '@sluice/stage/topics'
import { renderPartition, type RenderDeps } from './render-partition.ts'

export interface RendererDeps extends RenderDeps {
  readonly runs: RunsView
  readonly logger: Logger
  readonly holds: Holds
  readonly readiness?: Readiness | undefined
  /** Whether it works on for the other syncs where something of one is missing. */
  readonly outlasts?: boolean | undefined
}

/** Resolves once drained; rejects if something fails that no takeover mends. */
export function runRenderer(
  deps: RendererDeps,
  ends: { readonly drain: AbortSignal; readonly signal: AbortSignal },
): Promise<void> {
  const { log, holds, figures, readiness, outlasts, runs, prefix, logger } = deps
  return followOpenRuns({
    stage: 'requests',
    log,
    holds,
    figures,
    readiness,
    outlasts,
    runs,
    prefix,
    groupOf: run => `${prefix}.renderer.${run.sync}.${run.incarnation}`,
    topicOf: run => syncTopics(prefix, run.sync).changes,
    work: (run, worker) => renderPartition(deps, run, worker),
    onSetback: (run, target, error) =>
      logger.warn({ sync: run.sync, partition: target?.partition, err: error }, 'rendering starts anew'),
    ...ends,
  })
}
