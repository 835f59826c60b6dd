/** Lets go of requests and attempts whose run ended long ago (PROTOCOL.md §1). */
import { HISTORY_KEPT_MS } from '@sluice/runs/ends-of-runs'
import { at, syncTopics } from '@sluice/topics/topics'
import type { Tenure } from '../sync/tenure.ts'

/**
 * Call it once all partitions of a later run are reported. `reached` has the partitions whose `run-end`
 * marker is reached. Only records before these markers are dropped, and renderer and delivery go on from the
 * markers. If it fails, the next run tries again. Nothing is under way any more once it resolves or rejects.
 * That matters, since after a reset the same offsets belong to new records.
 */
export async function trimHistory({ deps, sync, ends }: Tenure, reached: ReadonlySet<number>): Promise<void> {
  const { log, runs, prefix, now, logger } = deps
  const { drain: signal } = ends
  const topics = syncTopics(prefix, sync)
  const old = runs.endsOf(sync, now() - HISTORY_KEPT_MS) ?? []
  const trims = await Promise.allSettled(
    old
      .filter(({ partition }) => reached.has(partition))
      .flatMap(({ partition, requests, attempts }) => [
        log.trim(at(topics.requests, partition), requests, { signal }),
        log.trim(at(topics.attempts, partition), attempts, { signal }),
      ]),
  )
  signal.throwIfAborted()
  const failed = trims.find(trim => trim.status === 'rejected')
  if (failed !== undefined)
    logger.warn({ sync, err: failed.reason }, 'requests and attempts of old runs could not be dropped')
}
