/**
 * Keeps one worker for each sync with an open run, and none for the others. So a sync without a run holds no
 * consumer. Renderer and delivery are both built on it.
 */
import type { RunEvent } from '@sluice/contracts/records'
import type { Fired } from '@sluice/contracts/run-records'
import { isEnded } from '@sluice/domain/run-status'
import { enter, type Entry, type EntryOf, type Suspects } from './deaths/entry.ts'
import { FAILURES_THAT_END_A_RUN, FailuresOfRun, SetAsides, type SettingAside } from './failures.ts'
import type { Figures } from './figures.ts'
import { assertKept } from './kept-topics.ts'
import { endingOf, type Ends } from '@sluice/flow/ends'
import { ownPartitions, type Readiness, type Worker } from './own-partitions.ts'
import type { RecordIo } from '@sluice/topics/record-io'
import { reportSetAside } from './report-set-aside.ts'
import { openRun, type RunsView, type SyncRuns } from '@sluice/runs/runs-view'
import type { Holds } from '@sluice/holds/port'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { Logger } from '@sluice/runtime/logger'
import { syncGroup, type SyncService, syncTopics, type StageName } from '@sluice/topics/topics'

/** The longest wait without a look at the clock, which may be set. */
const MAX_LOOK_MS = 60_000
/** A process that gets no hold for so long is late: another process has the hold. */
const PATIENCE_FOR_HOLD_MS = 500

/** What every stage that follows runs is made with. */
export interface FollowDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly logger: Logger
  readonly holds: Holds
  readonly figures?: Figures | undefined
  readonly readiness?: Readiness | undefined
  readonly runs: RunsView
  readonly prefix: string
  /** Absent where deaths of processes are not counted. */
  readonly suspects?: Suspects | undefined
}

/** The stage that follows runs, and what it does with them. */
export interface FollowingStage {
  readonly stage: EntryOf['stage']
  /** The names of the stage's groups have it. Processes of one service share the partitions of a sync. */
  readonly service: SyncService
  /** What the service does, as the log says it. */
  readonly activity: 'rendering' | 'delivery'
  /** The topic that it reads. */
  readonly reads: EntryOf['reads']
  readonly work: (run: RunEvent, worker: Worker) => Promise<void>
}

type Following = FollowDeps & FollowingStage & Ends

/**
 * Resolves once drained; rejects with the first failure that concerns the process, after all have stopped.
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
 * Has a worker for each sync with an open run. A sync whose schedule soon starts the next run keeps the
 * worker that it has. Returns for how long, in ms, the first of these is kept; Infinity without any.
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
    const run = openRun(runs)
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
  const { stage, service, activity, reads, log, holds, figures, readiness, logger, prefix } = following
  const { drain, abort } = following
  const { sync } = run
  await ownPartitions({
    log,
    holds,
    readiness,
    group: syncGroup(prefix, service, run),
    topic: syncTopics(prefix, sync)[reads],
    holdOf: ({ partition }) => holdOf(stage, run, partition),
    work: async worker => {
      const { partition } = worker.target
      await assertKept(following, { sync, partition }, { signal: worker.abort })
      using entry = await entryOf(following, run, worker)
      figures?.takenOver(stage, sync)
      await following.work(run, { ...worker, entry })
    },
    onSetback: (target, err) =>
      logger.warn({ sync, partition: target?.partition, err }, `${activity} starts again`),
    setAside: settingAside(following, run, endingOf(following)),
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
  const of = { stage, reads, run, partition: worker.target.partition }
  return await enter({ ...following, suspects }, of, { signal: endingOf(worker) })
}

/** What becomes of a sync that cannot go on, and of the run at work. */
function settingAside(following: Following, of: RunEvent, signal: AbortSignal): SettingAside {
  const { sync, incarnation } = of
  const asides = new SetAsides({ ...following, sync })
  const placeOf = (target: TopicPartition | null): number | null => target?.partition ?? null
  const failures = new FailuresOfRun()
  return {
    async failed(target, error) {
      const place = placeOf(target)
      asides.failed(place, error)
      const known = following.runs.of(sync)
      const run = known === undefined ? null : (openRun(known)?.run ?? null)
      if (failures.failed(place, run) < FAILURES_THAT_END_A_RUN) return
      const { stage } = following
      const tell = (partition: number): Promise<void> =>
        reportSetAside(following, { stage, sync, incarnation, partition, error }, { signal })
      const all = Array.from({ length: of.partitions }, (_, partition) => partition)
      try {
        if (target !== null) await tell(target.partition)
        else
          await Promise.all(
            all.map(partition => unlessHeld(following, of, { partition, signal, then: tell })),
          )
      } catch (untold) {
        // Once the run or the work is over, nobody needs the report.
        if (!signal.aborted) throw untold
      }
    },
    works: target => asides.works(placeOf(target)),
    left: target => asides.left(placeOf(target)),
  }
}

/**
 * Does `then` unless another process holds the partition; false if one does. A process that does not own the
 * partition has nothing to tell of one that another process is at work on.
 */
export async function unlessHeld(
  { holds, stage }: Pick<Following, 'holds' | 'stage'>,
  of: Pick<RunEvent, 'sync' | 'incarnation'>,
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
  const patience = AbortSignal.timeout(PATIENCE_FOR_HOLD_MS)
  try {
    await using _free = await holds.acquire(holdOf(stage, of, partition), {
      signal: AbortSignal.any([signal, patience]),
    })
    await then(partition)
    return true
  } catch (error) {
    if (error !== patience.reason) throw error
    return false
  }
}

function holdOf(
  stage: StageName,
  { sync, incarnation }: Pick<RunEvent, 'sync' | 'incarnation'>,
  partition: number,
): string {
  return `${stage}/${sync}/${incarnation}/${partition}`
}

/** To take over costs more than to wait where the schedule starts the next run within a minute. */
const KEEPS_UP_TO_MS = 60_000
/** How late the next run may begin before the owner lets go. */
const GRACE_MS = 5_000

/** For how long, in ms, the owners wait for the run of the next instant; 0 if they do not. */
export function keptForMs({ events }: Pick<SyncRuns, 'events'>, now: number): number {
  let last: Fired | null = null
  for (const { cause, status, fired } of events.values()) {
    // A reset takes the topics away, on which the owners are at work.
    if (cause === 'reset' && !isEnded(status)) return 0
    if (fired !== null && fired.at > (last?.at ?? -Infinity)) last = fired
  }
  if (last === null || last.next === null || last.next - last.at > KEEPS_UP_TO_MS) return 0
  return Math.max(0, Math.min(last.next + GRACE_MS - now, KEEPS_UP_TO_MS + GRACE_MS))
}
