/** The delivery service: a worker for each partition of each sync with an open run. */
import type { Holds } from '@sluice/holds/port'
import type { Logger } from '@sluice/runtime/logger'
import { followOpenRuns } from '@sluice/partition/follow-open-runs'
import type { Readiness } from '@sluice/partition/own-partitions'
import { syncTopics } from '@sluice/topics/topics'
import { deliverPartition } from './deliver-partition.ts'
import type { DeliverDeps } from './run/open-run.ts'

export interface DeliveryDeps extends DeliverDeps {
  readonly logger: Logger
  readonly holds: Holds
  readonly readiness?: Readiness | undefined
}

/** Resolves once drained; rejects with what concerns more than one sync. */
export function runDelivery(
  deps: DeliveryDeps,
  ends: { readonly drain: AbortSignal; readonly signal: AbortSignal },
): Promise<void> {
  const { log, io, holds, figures, readiness, runs, prefix, logger } = deps
  return followOpenRuns({
    stage: 'attempts',
    log,
    io,
    logger,
    holds,
    figures,
    readiness,
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
