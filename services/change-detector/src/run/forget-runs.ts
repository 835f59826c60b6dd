/**
 * Forgets runs that ended some time ago (PROTOCOL.md §1). Every process reads all of `runs` when it starts.
 * So the topic must not grow with time, or with how often syncs run. Runs that have not ended stay, and so do
 * those that the view keeps, however old they are. So the view is the same before and after.
 */
import type { PartitionEnd, RunEvent } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { decodeEach, type Placed } from '@sluice/topics/owned-reader'
import { at, homePartition, sharedTopics, syncTopics } from '@sluice/topics/topics'
import { HISTORY_KEPT_MS } from '@sluice/runs/ends-of-runs'
import type { OwnedSync } from '../sync/owned-sync.ts'

/**
 * A run stays in the topic for this time after its end, though the view needs it no longer: a slow client may
 * still wait for it.
 */
const RUNS_KEPT_MS = 3_600_000
/**
 * The most records that one run reads, and the most runs that it forgets. The next run continues from there.
 */
const MAX_READ = 10_000
const MAX_FORGOTTEN = 1_000

interface Found {
  /** Ids of the runs that may go. */
  readonly old: Set<string>
  readonly kept: Set<string>
  readonly from: number | null
  readonly young: readonly number[]
}

/**
 * Forgets old runs; to be called before the end of a run is written. A failure fails no run, and the next run
 * tries again. Rejects only when `drain` aborts. Nothing is under way any more once it resolves or rejects. A
 * run may be forgotten twice, if the topic is not compacted yet when another process begins its search. That
 * does no harm.
 */
export async function forgetRuns(owned: OwnedSync): Promise<void> {
  const { deps, sync, ends } = owned
  try {
    await forgetOld(owned)
  } catch (error) {
    ends.drain.throwIfAborted()
    deps.logger.warn({ sync, err: error }, 'old runs could not be forgotten')
  }
}

async function forgetOld(owned: OwnedSync): Promise<void> {
  const { deps, sync, ownership, ends, oldRuns } = owned
  const found = await search(owned)
  for (const runId of oldRuns.kept) {
    const event = deps.runs.of(sync)?.events.get(runId)
    // A run that goes on again will end once more. The search then meets it there.
    if (event !== undefined && !isEnded(event.status)) oldRuns.kept.delete(runId)
    else if (!deps.runs.keeps(sync, runId)) found.old.add(runId)
  }
  if (found.old.size > 0) await ownership.forgetRuns([...found.old], ends.drain)
  for (const runId of found.old) oldRuns.kept.delete(runId)
  for (const runId of found.kept) oldRuns.kept.add(runId)
  oldRuns.from = found.from
  oldRuns.young = found.young
}

/**
 * Goes on with the search, up to the first record that is not old. The view has all of these records, so it
 * knows how each run ended.
 */
async function search({ deps, sync, ownership, ends, oldRuns }: OwnedSync): Promise<Found> {
  const { log, io, runs, prefix } = deps
  const { drain: signal } = ends
  const now = deps.now()
  const old = new Set<string>()
  const kept = new Set<string>()
  const { young } = oldRuns
  if (isYoung(young, now)) return { old, kept, from: oldRuns.from, young }
  const target = at(sharedTopics(prefix).runs, homePartition(sync))
  const { low, end } = await log.offsets(target, { signal })
  await runs.caughtUp(target.partition, { signal })
  let from = Math.max(low, oldRuns.from ?? low)
  // The view of another incarnation, or no view, would keep none of the runs.
  const isKnown = runs.of(sync)?.incarnation === ownership.incarnation
  if (!isKnown || from >= end) return { old, kept, from: oldRuns.from, young: [] }
  let read = 0
  for await (const batch of log.read(target, { signal, from, to: end })) {
    for (const placed of await decodeEach(io, batch.records, signal)) {
      const event = eventOf(placed)
      const endedAt = event?.endedAt ?? null
      const times = endedAt === null ? [placed.timestamp] : [placed.timestamp, endedAt]
      if (isYoung(times, now)) return { old, kept, from: placed.offset, young: times }
      if (read === MAX_READ || old.size === MAX_FORGOTTEN)
        return { old, kept, from: placed.offset, young: [] }
      read += 1
      // The records of other syncs stay.
      if (event?.sync === sync && isEnded(event.status))
        (runs.keeps(sync, event.runId) ? kept : old).add(event.runId)
    }
    from = batch.nextOffset
  }
  return { old, kept, from, young: [] }
}

function eventOf({ record }: Placed): RunEvent | null {
  return record?.name === 'sluice.RunEvent' ? record.value : null
}

/**
 * True if one of the times is within `RUNS_KEPT_MS` of now. A time further ahead comes from a clock that was
 * wrong. That record does not keep the records behind it.
 */
function isYoung(times: readonly number[], now: number): boolean {
  return times.some(time => Math.abs(now - time) < RUNS_KEPT_MS)
}

/**
 * Drops requests and attempts whose run ended long ago, or the oldest ones if the log has become too large
 * (PROTOCOL.md §1).
 *
 * To be called once all partitions of a later run are reported. `reached` has the partitions whose `run-end`
 * marker is reached. Only records before these markers are dropped, and renderer and delivery go on from the
 * markers. If it fails, the next run tries again. Nothing is under way any more once it resolves or rejects.
 * That matters, since after a reset the same offsets belong to new records.
 */
export async function trimHistory(owned: OwnedSync, reached: ReadonlySet<number>): Promise<void> {
  const { deps, sync, ends } = owned
  const { log, runs, prefix, now, logger } = deps
  const { drain: signal } = ends
  const topics = syncTopics(prefix, sync)
  const aged = runs.endsOf(sync, now() - HISTORY_KEPT_MS) ?? []
  const old = latest([...aged, ...endsForRoom(owned)])
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

/** Returns the last end of each partition. */
function latest(ends: readonly PartitionEnd[]): readonly PartitionEnd[] {
  const last = new Map<number, PartitionEnd>()
  for (const end of ends)
    if (end.requests >= (last.get(end.partition)?.requests ?? 0)) last.set(end.partition, end)
  return [...last.values()]
}

/**
 * Returns nothing while the log has room. Else the sync has to keep within its share, so its records up to
 * the end of some run must go. Returns the ends of that run, or of the last run if even these leave too much.
 * Shares are in proportion to the bytes that syncs take now.
 */
function endsForRoom({ deps, sync, ends }: OwnedSync): readonly PartitionEnd[] {
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
