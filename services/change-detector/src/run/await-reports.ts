/** The last part of a run, also of an interrupted one: delivery reports its partitions, and the run ends. */
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { PartitionReport, RunBegin } from '@sluice/contracts/records'
import { isReached, type RunState } from '@sluice/runs/machine/run-events'
import type { Next, PartitionTail } from '@sluice/runs/machine/sync-life'
import { sleep } from '@sluice/flow/sleep'
import { unlessLocked } from '@sluice/partition/follow-open-runs'
import { assertAllKept } from '@sluice/partition/kept-topics'
import { reportSuspended } from '@sluice/partition/report-suspended'
import { at } from '@sluice/topics/topics'
import { endReplayed } from '../publish/replayed-requests.ts'
import type { OwnedSync } from '../sync/owned-sync.ts'
import { appendMarker } from '../publish/publish-changes.ts'
import { forgetRuns, trimHistory } from './forget-runs.ts'

const OVERDUE_LOOK_MS = 30_000
const TOO_LONG = 'the run lasted for longer than its maxDuration, and nothing goes on in this partition'
const CANCELLED = 'the run was cancelled, and nothing goes on in this partition'

/**
 * Waits until delivery has reported every partition of the run at work, and ends the run. Old requests and
 * runs are dropped before the end is written. So a reader that sees the end sees them gone.
 */
export async function awaitReports(owned: OwnedSync): Promise<void> {
  const { deps, sync, ownership, ends } = owned
  const number = owned.life.atWork?.run.run
  const reports = (): readonly PartitionReport[] =>
    [...(deps.runs.of(sync)?.reports.values() ?? [])].filter(report => report.run === number && report.ended)
  const areReported = (): boolean => {
    deps.runs.assertReadable(sync)
    return reports().length >= ownership.partitions
  }
  const over = new AbortController()
  const watching = endOverdue(owned, AbortSignal.any([ends.drain, over.signal])).catch((error: unknown) =>
    over.abort(error),
  )
  await deps.runs
    .until(areReported, { signal: AbortSignal.any([ends.drain, over.signal]) })
    .finally(() => over.abort())
  await watching
  // Later reports do not count: a partition that is taken over may report its progress again.
  const reported = reports()
  // A stage that cannot go on may only be the first to notice that a topic is lost.
  if (!reported.every(isReached))
    await assertAllKept(deps, { sync, incarnation: ownership.incarnation }, { signal: ends.drain })
  const { next } = await owned.step({ kind: 'reported', reports: reported, at: deps.now() })
  await replaceIfDue(owned, next)
  await endReplayed(owned)
  await trimHistory(owned, new Set(reported.filter(isReached).map(({ partition }) => partition)))
  await forgetRuns(owned)
  const endsBefore = deps.runs.endsOf(sync, Infinity) ?? []
  await owned.step({ kind: 'ended', endsBefore, at: deps.now() })
}

/**
 * Ends a run that somebody cancelled, or that has exceeded its `maxDuration`, in partitions that make no
 * progress (PROTOCOL.md §11). If delivery is at work on the partition, it is asked to end what it has. A
 * renderer that cannot go on asks in the same way. If delivery is not at work there, nothing more of the run
 * can be sent. Never resolves; rejects when aborted, and as the log does.
 */
async function endOverdue(owned: OwnedSync, signal: AbortSignal): Promise<void> {
  const { deps, sync, ownership } = owned
  const { incarnation, partitions, topics } = ownership
  const { definition = null, startedAt = null, run } = owned.life.atWork?.run ?? {}
  if (deps.locks === undefined || definition === null || startedAt === null) return
  const stage = { locks: deps.locks, stage: 'attempts' } as const
  const { maxDuration = Infinity } = (await deps.definitions.get(definition, { signal })).sync
  const seen = new Map<number, string>()
  for (;;) {
    await sleep(deps.overdueLookMs ?? OVERDUE_LOOK_MS, { signal })
    const isCancelled = owned.life.atWork?.run.cancelling === true
    if (!isCancelled && deps.now() - startedAt < maxDuration) continue
    const error = new SluiceError('too-long', isCancelled ? CANCELLED : TOO_LONG)
    for (let partition = 0; partition < partitions; partition += 1) {
      const report = deps.runs.of(sync)?.reports.get(partition)
      if (report?.run === run && report?.ended === true) continue
      const [requests, attempts] = await Promise.all(
        [topics.requests, topics.attempts].map(topic => deps.log.offsets(at(topic, partition), { signal })),
      )
      const place = `${requests?.end ?? 0}/${attempts?.end ?? 0}`
      if (seen.get(partition) === place) {
        const reportAs = (name: 'requests' | 'attempts') =>
          reportSuspended(deps, { stage: name, sync, incarnation, partition, error }, { signal })
        const then = (): Promise<void> => reportAs('attempts')
        const holding = unlessLocked(stage, { sync, incarnation }, { partition, signal, then })
        if (!(await holding.catch(untilNextLook))) await reportAs('requests')
      }
      seen.set(partition, place)
    }
  }
}

/**
 * Ignores a transient failure, for example of Redis. The run goes on waiting, and the next look may succeed.
 */
function untilNextLook(error: unknown): true {
  if (isSluiceError(error) && error.retryable) return true
  throw error
}

/** Queues a run that replaces an interrupted one, if the machine says so. */
async function replaceIfDue(owned: OwnedSync, next: Next): Promise<void> {
  const { newRunId, now } = owned.deps
  if (next === 'replace') await owned.step({ kind: 'replaced', newRunId: newRunId(), at: now() })
}

/**
 * Ends the run that an earlier owner left at work, if there is one (PROTOCOL.md §6).
 *
 * It looks how much of the run is written, writes missing markers, and waits until delivery has reported the
 * run. The machine decides which of these steps the run needs, and which run replaces it.
 */
export async function finishInterruptedRun(owned: OwnedSync): Promise<void> {
  const { deps, ownership, ends } = owned
  if (owned.life.atWork === null) return
  const tails = await ownership.tails(ends.drain)
  const { life, next } = await owned.step({ kind: 'inspected', tails })
  if (next === 'close' && life.atWork !== null) {
    await writeMissingMarkers(owned, life.atWork.run, tails)
    await owned.step({ kind: 'closed' })
  }
  if (next === 'close' || next === 'await-reports') await awaitReports(owned)
  else {
    await replaceIfDue(owned, next)
    await owned.step({ kind: 'ended', endsBefore: [], at: deps.now() })
  }
  await owned.step({ kind: 'released' })
}

/** Writes the markers that an interrupted run lacks. Their `sealed` says that they end it early. */
async function writeMissingMarkers(
  owned: OwnedSync,
  interrupted: RunState,
  tails: readonly PartitionTail[],
): Promise<void> {
  const options = { io: owned.deps.io, ownership: owned.ownership, signal: owned.ends.drain }
  const begin = beginOf(interrupted)
  for (const [partition, tail] of tails.entries()) {
    const begun = tail.run === interrupted.run
    if (begun && tail.ended) continue
    if (!begun) await appendMarker(options, partition, 'run-begin', { begin })
    await appendMarker(options, partition, 'run-end', { begin, count: begun ? tail.count : 0, sealed: true })
  }
}

/** Returns the content of a run's `run-begin` marker. */
export function beginOf({ run, runId, definition, startedAt, first }: RunState): RunBegin {
  if (run === null || definition === null || startedAt === null)
    throw new SluiceError('internal', `run ${runId} has no number or definition yet`)
  return { run, runId, definition, startedAt, first }
}
