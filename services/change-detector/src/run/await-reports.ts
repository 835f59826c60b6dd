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
import type { Tenure } from '../sync/tenure.ts'
import { appendMarker } from '../publish/publish-changes.ts'
import { forgetRuns, trimHistory } from './forget-runs.ts'

const OVERDUE_LOOK_MS = 30_000
const TOO_LONG = 'the run lasted for longer than its maxDuration, and nothing goes on in this partition'
const CANCELLED = 'the run was cancelled, and nothing goes on in this partition'

/**
 * Waits until delivery has reported every partition of the run at work, and ends the run. Old requests and
 * runs are dropped before the end is written. So a reader that sees the end sees them gone.
 */
export async function awaitReports(tenure: Tenure): Promise<void> {
  const { deps, sync, ownership, ends } = tenure
  const number = tenure.life.atWork?.run.run
  const reports = (): readonly PartitionReport[] =>
    [...(deps.runs.of(sync)?.reports.values() ?? [])].filter(report => report.run === number && report.ended)
  const areReported = (): boolean => {
    deps.runs.assertReadable(sync)
    return reports().length >= ownership.partitions
  }
  const over = new AbortController()
  const watching = endOverdue(tenure, AbortSignal.any([ends.drain, over.signal])).catch((error: unknown) =>
    over.abort(error),
  )
  await deps.runs
    .until(areReported, { signal: AbortSignal.any([ends.drain, over.signal]) })
    .finally(() => over.abort())
  await watching
  // From here on these reports count: a partition that is taken over may report its progress again.
  const reported = reports()
  // A stage that cannot go on may have lost a topic. Then it was only the first to notice.
  if (!reported.every(isReached))
    await assertAllKept(deps, { sync, incarnation: ownership.incarnation }, { signal: ends.drain })
  const { next } = await tenure.tell({ kind: 'reported', reports: reported, at: deps.now() })
  await replaceIfDue(tenure, next)
  await endReplayed(tenure)
  await trimHistory(tenure, new Set(reported.filter(isReached).map(({ partition }) => partition)))
  await forgetRuns(tenure)
  const endsBefore = deps.runs.endsOf(sync, Infinity) ?? []
  await tenure.tell({ kind: 'ended', endsBefore, at: deps.now() })
}

/**
 * Ends a run that somebody cancelled, or that lasted for longer than its `maxDuration`, in partitions that do
 * not come on (PROTOCOL.md §11). Where delivery is at work, it is asked to end what it has, as by a renderer
 * that cannot go on. Where it is not, nothing more of the run can be sent. Resolves never; rejects when
 * aborted, and as the log does.
 */
async function endOverdue(tenure: Tenure, signal: AbortSignal): Promise<void> {
  const { deps, sync, ownership } = tenure
  const { incarnation, partitions, topics } = ownership
  const { definition = null, startedAt = null, run } = tenure.life.atWork?.run ?? {}
  if (deps.locks === undefined || definition === null || startedAt === null) return
  const of = { locks: deps.locks, stage: 'attempts' } as const
  const { maxDuration = Infinity } = (await deps.definitions.get(definition, { signal })).sync
  const seen = new Map<number, string>()
  for (;;) {
    await sleep(deps.overdueLookMs ?? OVERDUE_LOOK_MS, { signal })
    const isCancelled = tenure.life.atWork?.run.cancelling === true
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
        const tell = (stage: 'requests' | 'attempts') =>
          reportSuspended(deps, { stage, sync, incarnation, partition, error }, { signal })
        const then = (): Promise<void> => tell('attempts')
        const holding = unlessLocked(of, { sync, incarnation }, { partition, signal, then })
        if (!(await holding.catch(untilNextLook))) await tell('requests')
      }
      seen.set(partition, place)
    }
  }
}

/** Redis or the log may be away for a while. The run waits all the same, and this looks again. */
function untilNextLook(error: unknown): true {
  if (isSluiceError(error) && error.retryable) return true
  throw error
}

/** Queues a run in the place of one that was cut, where the machine says so. */
async function replaceIfDue(tenure: Tenure, next: Next): Promise<void> {
  const { newRunId, now } = tenure.deps
  if (next === 'replace') await tenure.tell({ kind: 'replaced', newRunId: newRunId(), at: now() })
}

/**
 * Brings a run to its end that an earlier owner left at work (PROTOCOL.md §6).
 *
 * Looks how much of the run is written, writes the markers that are missing if it was cut, and waits until
 * delivery has reported it. The machine decides which of these the run needs, and which run takes its place.
 */
export async function finishLeftRun(tenure: Tenure): Promise<void> {
  const { deps, ownership, ends } = tenure
  if (tenure.life.atWork === null) return
  const tails = await ownership.tails(ends.drain)
  const { life, next } = await tenure.tell({ kind: 'inspected', tails })
  if (next === 'seal' && life.atWork !== null) {
    await seal(tenure, life.atWork.run, tails)
    await tenure.tell({ kind: 'sealed' })
  }
  if (next === 'seal' || next === 'await-reports') await awaitReports(tenure)
  else {
    await replaceIfDue(tenure, next)
    await tenure.tell({ kind: 'ended', endsBefore: [], at: deps.now() })
  }
  await tenure.tell({ kind: 'released' })
}

/** Writes the markers that are missing. */
async function seal(tenure: Tenure, left: RunState, tails: readonly PartitionTail[]): Promise<void> {
  const options = { io: tenure.deps.io, ownership: tenure.ownership, signal: tenure.ends.drain }
  const begin = beginOf(left)
  for (const [partition, tail] of tails.entries()) {
    const begun = tail.run === left.run
    if (begun && tail.ended) continue
    if (!begun) await appendMarker(options, partition, 'run-begin', { begin })
    await appendMarker(options, partition, 'run-end', { begin, count: begun ? tail.count : 0, sealed: true })
  }
}

/** What a run's `run-begin` marker carries. */
export function beginOf({ run, runId, definition, startedAt, first }: RunState): RunBegin {
  if (run === null || definition === null || startedAt === null)
    throw new SluiceError('internal', `run ${runId} has no number or definition yet`)
  return { run, runId, definition, startedAt, first }
}
