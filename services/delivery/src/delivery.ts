/** The delivery service: a worker for each partition of each sync with an open run. */
import type { Holds } from '@sluice/holds/port'
import type { Logger } from '@sluice/runtime/logger'
import { followOpenRuns } from '@sluice/stage/follow-open-runs'
import type { Readiness } from '@sluice/stage/own-partitions'
import { syncTopics } from '@sluice/stage/topics'
import { deliverPartition, type DeliverDeps } from './deliver-partition.ts'

export interface DeliveryDeps extends DeliverDeps {
  readonly logger: Logger
  readonly holds: Holds
  readonly readiness?: Readiness | undefined
  /** Whether it works on for the other syncs where something of one is missing. */
  readonly outlasts?: boolean | undefined
}

/** Resolves once drained; rejects if something fails that no takeover mends. */
export function runDelivery(
  deps: DeliveryDeps,
  ends: { readonly drain: AbortSignal; readonly signal: AbortSignal },
): Promise<void> {
  const { log, holds, figures, readiness, outlasts, runs, prefix, logger } = deps
  return followOpenRuns({
    stage: 'attempts',
    log,
    holds,
    figures,
    readiness,
    outlasts,
    runs,
    prefix,
    groupOf: run => `${prefix}.delivery.${run.sync}.${run.incarnation}`,
    topicOf: run => syncTopics(prefix, run.sync).requests,
    work: (run, worker) => deliverPartition(deps, run, worker),
    onSetback: (run, target, error) =>
      logger.warn({ sync: run.sync, partition: target?.partition, err: error }, 'delivery starts anew'),
    ...ends,
  })
}
