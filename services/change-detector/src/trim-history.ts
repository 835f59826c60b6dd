/** Lets go of requests and attempts whose run ended long ago (PROTOCOL.md §1). */
import { HISTORY_KEPT_MS } from '@sluice/stage/ends-of-runs'
import { at, syncTopics } from '@sluice/stage/topics'
import type { Tenure } from './tenure.ts'

/**
 * To be called once all partitions of a later run are reported: what is dropped stands before that run's
 * `run-end` markers, from which renderer and delivery go on. Where it fails the next run tries again.
 */
export async function trimHistory({ deps, sync, ends }: Tenure): Promise<void> {
  const { log, runs, prefix, now, logger } = deps
  const { signal } = ends
  const topics = syncTopics(prefix, sync)
  const old = runs.endsOf(sync, now() - HISTORY_KEPT_MS) ?? []
  try {
    await Promise.all(
      old.flatMap(({ partition, requests, attempts }) => [
        log.trim(at(topics.requests, partition), requests, { signal }),
        log.trim(at(topics.attempts, partition), attempts, { signal }),
      ]),
    )
  } catch (err) {
    signal.throwIfAborted()
    logger.warn({ sync, err }, 'requests and attempts of old runs could not be dropped')
  }
}
