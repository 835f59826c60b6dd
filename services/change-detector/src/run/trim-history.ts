/**
 * Lets go of requests and attempts whose run ended long ago, or of the oldest if the log has become too large
 * (PROTOCOL.md §1).
 */
import type { PartitionEnd } from '@sluice/contracts/run-records'
import { HISTORY_KEPT_MS } from '@sluice/runs/ends-of-runs'
import { at, syncTopics } from '@sluice/topics/topics'
import type { Tenure } from '../sync/tenure.ts'

/**
 * Call it once all partitions of a later run are reported. `reached` has the partitions whose `run-end`
 * marker is reached. Only records before these markers are dropped, and renderer and delivery go on from the
 * markers. If it fails, the next run tries again. Nothing is under way any more once it resolves or rejects.
 * That matters, since after a reset the same offsets belong to new records.
 */
export async function trimHistory(tenure: Tenure, reached: ReadonlySet<number>): Promise<void> {
  const { deps, sync, ends } = tenure
  const { log, runs, prefix, now, logger } = deps
  const { drain: signal } = ends
  const topics = syncTopics(prefix, sync)
  const aged = runs.endsOf(sync, now() - HISTORY_KEPT_MS) ?? []
  const old = latest([...aged, ...endsForRoom(tenure)])
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

/** The last of the ends of each partition. */
function latest(ends: readonly PartitionEnd[]): readonly PartitionEnd[] {
  const last = new Map<number, PartitionEnd>()
  for (const end of ends)
    if (end.requests >= (last.get(end.partition)?.requests ?? 0)) last.set(end.partition, end)
  return [...last.values()]
}

/**
 * The earliest end of a run behind which so little lies that the sync takes no more than its share of the
 * room, in proportion to what it takes now; the last end if more than that lies behind each. Empty while
 * there is room.
 */
function endsForRoom({ deps, sync, ends }: Tenure): readonly PartitionEnd[] {
  const { runs, prefix, logRoom } = deps
  if (logRoom === undefined) return []
  const { limitBytes, log } = logRoom
  const signal = { signal: ends.drain }
  const taken = log.uncompactedBytes(signal)
  const known = runs.allEndsOf(sync)
  if (taken <= limitBytes || known.length === 0) return []
  const topics = syncTopics(prefix, sync)
  const takenFrom = (from: readonly PartitionEnd[]): number =>
    from.reduce(
      (sum, { partition, requests, attempts }) =>
        sum +
        log.bytesFrom(at(topics.requests, partition), requests, signal) +
        log.bytesFrom(at(topics.attempts, partition), attempts, signal),
      0,
    )
  const start = (known[0] ?? []).map(({ partition }) => ({ partition, requests: 0, attempts: 0 }))
  const share = takenFrom(start) * (limitBytes / taken)
  let [low, high] = [0, known.length - 1]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (takenFrom(known[middle] ?? []) <= share) high = middle
    else low = middle + 1
  }
  return known[low] ?? []
}
