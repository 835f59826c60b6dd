/**
 * Keeps one worker for each sync with an open run, and none for the others, so a sync without a run has no
 * consumer. Renderer and delivery are both built on it.
 */
import type { Fired, RunEvent } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { enter, type Entry, type EntryPlace, type Suspects } from './deaths/entry.ts'
import { FAILURES_THAT_END_A_RUN, FailuresOfRun, Suspensions, type Suspender } from './failures.ts'
import { assertKept } from './kept-topics.ts'
import { endingOf, type Ends } from '@sluice/flow/ends'
import { ownPartitions, type Readiness, type Worker } from './own-partitions.ts'
import type { RecordIo } from '@sluice/topics/record-io'
import type { Locks } from './port.ts'
import { reportSuspended } from './report-suspended.ts'
import type { StageMetrics } from './stage-metrics.ts'
import { runAtWork, type RunsView, type SyncRuns } from '@sluice/runs/runs-view'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { Logger } from '@sluice/runtime/logger'
import { syncGroup, type SyncService, syncTopics, type StageName } from '@sluice/topics/topics'

/** The longest wait before the clock is read again, since somebody may set it. */
const MAX_LOOK_MS = 60_000
/** A process that waits this long for a lock knows that another process has it. */
const PATIENCE_FOR_LOCK_MS = 500

/** Every stage that follows runs is made with these. */
export interface FollowDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly logger: Logger
  readonly locks: Locks
  readonly stageMetrics?: StageMetrics | undefined
  readonly readiness?: Readiness | undefined
  readonly runs: RunsView
  readonly prefix: string
  /** Absent where deaths of processes are not counted. */
  readonly suspects?: Suspects | undefined
}

/** A stage that follows runs, and its work on them. */
export interface FollowingStage {
  readonly stage: EntryPlace['stage']
  /** Part of the names of the stage's groups: processes of one service share the partitions of a sync. */
  readonly service: SyncService
  /** The word for the stage's work in its log. */
  readonly activity: 'rendering' | 'delivery'
  /** The topic that it reads. */
  readonly reads: EntryPlace['reads']
  readonly work: (run: RunEvent, worker: Worker) => Promise<void>
}

type Following = FollowDeps & FollowingStage & Ends

/**
 * Resolves once drained. Rejects with the first failure that concerns the process, after all workers have
 * stopped.
 */
export async function followOpenRuns(deps: FollowDeps, stage: FollowingStage, ends: Ends): Promise<void> {
  const following = { ...deps, ...stage, ...ends }
  const { runs } = deps
  const failed = new AbortController()
  const ending = endingOf(ends, failed.signal)
  const working = new Map<string, { readonly stop: AbortController; done: Promise<void> }>()
  try {
    for (;;) {
      const seen = runs.changes.version
      if (ending.aborted) break
      const keptForMs = syncWorkers(following, working, { ending, failed })
      await changed(runs, seen, { ending, keptForMs })
    }
  } finally {
    for (const { stop } of working.values()) stop.abort()
    await Promise.all([...working.values()].map(({ done }) => done))
  }
  if (failed.signal.aborted) throw failed.signal.reason
}

/** Waits for a change of the runs, or until a sync is no longer kept. */
async function changed(
  runs: RunsView,
  seen: number,
  { ending, keptForMs }: { readonly ending: AbortSignal; readonly keptForMs: number },
): Promise<void> {
  const over = new AbortController()
  const signal = AbortSignal.any([ending, over.signal])
  const timer = setTimeout(() => over.abort(), Math.min(keptForMs, MAX_LOOK_MS))
  try {
    await runs.until(() => runs.changes.version !== seen, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Starts and stops workers, so that each sync with an open run has one. A sync whose schedule soon starts the
 * next run keeps its worker. Returns the time in ms until the first of these workers is no longer kept;
 * Infinity if none is kept.
 */
function syncWorkers(
  following: Following,
  working: Map<string, { readonly stop: AbortController; done: Promise<void> }>,
  { ending, failed }: { readonly ending: AbortSignal; readonly failed: AbortController },
): number {
  const now = Date.now()
  const open = new Map<string, RunEvent>()
  const kept = new Map<string, number>()
  for (const runs of following.runs.all()) {
    const run = runAtWork(runs)
    const name = `${runs.sync}.${runs.incarnation}`
    if (run !== null) open.set(name, run)
    else if (working.has(name)) kept.set(name, keptForMs(runs, now))
  }
  for (const [name, { stop }] of working) if (!open.has(name) && (kept.get(name) ?? 0) === 0) stop.abort()
  for (const [name, run] of open) {
    if (working.has(name)) continue
    const stop = new AbortController()
    const drain = AbortSignal.any([ending, stop.signal])
    const done = workOnSync({ ...following, drain }, run)
      .catch((error: unknown) => failed.abort(error))
      .finally(() => {
        working.delete(name)
        following.runs.changes.notify()
      })
    working.set(name, { stop, done })
  }
  return Math.min(Infinity, ...[...kept.values()].filter(ms => ms > 0))
}

async function workOnSync(following: Following, run: RunEvent): Promise<void> {
  const { stage, service, activity, reads, log, locks, stageMetrics, readiness, logger, prefix } = following
  const { drain, abort } = following
  const { sync } = run
  await ownPartitions({
    log,
    locks,
    readiness,
    group: syncGroup(prefix, service, run),
    topic: syncTopics(prefix, sync)[reads],
    lockName: ({ partition }) => lockName(stage, run, partition),
    work: async worker => {
      const { partition } = worker.target
      await assertKept(following, { sync, partition }, { signal: worker.abort })
      using entry = await entryOf(following, run, worker)
      stageMetrics?.takenOver(stage, sync)
      await following.work(run, { ...worker, entry })
    },
    onTransientFailure: (target, err) =>
      logger.warn({ sync, partition: target?.partition, err }, `${activity} starts again`),
    suspender: suspenderOf(following, run, endingOf(following)),
    drain,
    abort,
  })
}

/** Waits for its turn in a partition at which owners died. */
async function entryOf(
  { suspects, ...following }: Following,
  run: RunEvent,
  worker: Worker,
): Promise<(Entry & Disposable) | undefined> {
  if (suspects === undefined) return undefined
  const { stage, reads } = following
  const place = { stage, reads, run, partition: worker.target.partition }
  return await enter({ ...following, suspects }, place, { signal: endingOf(worker) })
}

/** Suspends a sync that cannot go on, and ends its run after the second failure. */
function suspenderOf(following: Following, begun: RunEvent, signal: AbortSignal): Suspender {
  const { sync, incarnation } = begun
  const suspensions = new Suspensions({ ...following, sync })
  const placeOf = (target: TopicPartition | null): number | null => target?.partition ?? null
  const failures = new FailuresOfRun()
  return {
    async failed(target, error) {
      const place = placeOf(target)
      suspensions.failed(place, error)
      const known = following.runs.of(sync)
      const run = known === undefined ? null : (runAtWork(known)?.run ?? null)
      if (failures.failed(place, run) < FAILURES_THAT_END_A_RUN) return
      const { stage } = following
      const report = (partition: number): Promise<void> =>
        reportSuspended(following, { stage, sync, incarnation, partition, error }, { signal })
      const all = Array.from({ length: begun.partitions }, (_, partition) => partition)
      try {
        if (target !== null) await report(target.partition)
        else
          await Promise.all(
            all.map(partition => unlessLocked(following, begun, { partition, signal, then: report })),
          )
      } catch (unreported) {
        // Once the run or the work is over, nobody needs the report.
        if (!signal.aborted) throw unreported
      }
    },
    works: target => suspensions.works(placeOf(target)),
    left: target => suspensions.left(placeOf(target)),
  }
}

/**
 * Calls `then`, unless another process has the lock of the partition; false if another has it. Only its owner
 * reports on a partition that is being worked on.
 */
export async function unlessLocked(
  { locks, stage }: Pick<Following, 'locks' | 'stage'>,
  run: Pick<RunEvent, 'sync' | 'incarnation'>,
  {
    partition,
    signal,
    then,
  }: {
    readonly partition: number
    readonly signal: AbortSignal
    readonly then: (partition: number) => Promise<void>
  },
): Promise<boolean> {
  const patience = AbortSignal.timeout(PATIENCE_FOR_LOCK_MS)
  try {
    await using _free = await locks.acquire(lockName(stage, run, partition), {
      signal: AbortSignal.any([signal, patience]),
    })
    await then(partition)
    return true
  } catch (error) {
    if (error !== patience.reason) throw error
    return false
  }
}

function lockName(
  stage: StageName,
  { sync, incarnation }: Pick<RunEvent, 'sync' | 'incarnation'>,
  partition: number,
): string {
  return `${stage}/${sync}/${incarnation}/${partition}`
}

/** Workers wait for a scheduled run this long, since to take over again would cost more. */
const KEEPS_UP_TO_MS = 60_000
/** The owner gives up its partitions if the next run is later than this. */
const GRACE_MS = 5_000

/** The time for which the owners wait for the next scheduled run, in ms; 0 if they do not. */
export function keptForMs({ events }: Pick<SyncRuns, 'events'>, now: number): number {
  let last: Fired | null = null
  for (const { cause, status, fired } of events.values()) {
    // A reset deletes the topics that the owners work on.
    if (cause === 'reset' && !isEnded(status)) return 0
    if (fired !== null && fired.at > (last?.at ?? -Infinity)) last = fired
  }
  if (last === null || last.next === null || last.next - last.at > KEEPS_UP_TO_MS) return 0
  return Math.max(0, Math.min(last.next + GRACE_MS - now, KEEPS_UP_TO_MS + GRACE_MS))
}
