/**
 * Has one worker per sync with an open run, and none for the others, so that a sync without a run holds no
 * consumer. Renderer and delivery are both built on it.
 */
import type { RunEvent } from '@sluice/contracts/records'
import type { Figures } from './figures.ts'
import { assertKept } from './kept-topics.ts'
import { ownPartitions, type Readiness, type Worker } from './own-partitions.ts'
import type { RecordIo } from '@sluice/topics/record-io'
import { reportSetAside } from './report-set-aside.ts'
import { openRun, type RunsView } from '@sluice/runs/runs-view'
import { SetAsides } from './set-asides.ts'
import type { SettingAside } from './tries.ts'
import type { Holds } from '@sluice/holds/port'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { Logger } from '@sluice/runtime/logger'
import type { StageName } from '@sluice/topics/topics'

/** A fault that is gone by the next try harms no run; one that is still there ends it. */
const FAILURES_THAT_END_A_RUN = 2
/** Whoever gets no hold for so long is taken to be late: another has it. */
const PATIENCE_FOR_HOLD_MS = 500

export interface FollowOptions {
  readonly stage: StageName
  readonly log: MessageLog
  readonly io: RecordIo
  readonly logger: Logger
  readonly holds: Holds
  readonly figures?: Figures | undefined
  readonly readiness?: Readiness | undefined
  readonly runs: RunsView
  readonly prefix: string
  /** Group and topic whose partitions are shared out for a sync. */
  readonly groupOf: (run: RunEvent) => string
  readonly topicOf: (run: RunEvent) => string
  readonly work: (run: RunEvent, worker: Worker) => Promise<void>
  readonly onSetback: (run: RunEvent, target: TopicPartition | null, error: unknown) => void
  readonly drain: AbortSignal
  readonly signal: AbortSignal
}

/**
 * Resolves once drained; rejects with the first failure that concerns the process, after all have stopped.
 */
export async function followOpenRuns(options: FollowOptions): Promise<void> {
  const { runs, drain, signal } = options
  const failed = new AbortController()
  const ending = AbortSignal.any([drain, signal, failed.signal])
  const working = new Map<string, { readonly stop: AbortController; done: Promise<void> }>()
  try {
    for (;;) {
      const seen = runs.changes.version
      if (ending.aborted) break
      syncWorkers(options, working, { ending, failed })
      await runs
        .until(() => runs.changes.version !== seen, { signal: ending })
        .catch((error: unknown) => {
          if (!ending.aborted) throw error
        })
    }
  } finally {
    for (const { stop } of working.values()) stop.abort()
    await Promise.all([...working.values()].map(({ done }) => done))
  }
  if (failed.signal.aborted) throw failed.signal.reason
}

function syncWorkers(
  options: FollowOptions,
  working: Map<string, { readonly stop: AbortController; done: Promise<void> }>,
  ends: { readonly ending: AbortSignal; readonly failed: AbortController },
): void {
  const open = new Map<string, RunEvent>()
  for (const runs of options.runs.all()) {
    const run = openRun(runs)
    if (run !== null) open.set(`${run.sync}.${run.incarnation}`, run)
  }
  for (const [name, { stop }] of working) if (!open.has(name)) stop.abort()
  for (const [name, run] of open) {
    if (working.has(name)) continue
    const stop = new AbortController()
    const drain = AbortSignal.any([ends.ending, stop.signal])
    const done = workOnSync(options, run, drain)
      .catch((error: unknown) => ends.failed.abort(error))
      .finally(() => {
        working.delete(name)
        options.runs.changes.notify()
      })
    working.set(name, { stop, done })
  }
}

async function workOnSync(options: FollowOptions, run: RunEvent, drain: AbortSignal): Promise<void> {
  const { stage, log, holds, figures, readiness, signal } = options
  await ownPartitions({
    log,
    holds,
    readiness,
    group: options.groupOf(run),
    topic: options.topicOf(run),
    holdOf: ({ partition }) => holdOf(stage, run, partition),
    work: async worker => {
      const { partition } = worker.target
      await assertKept(options, { sync: run.sync, partition }, { signal: worker.signal })
      figures?.takenOver(stage, run.sync)
      await options.work(run, worker)
    },
    onSetback: (target, error) => options.onSetback(run, target, error),
    setAside: settingAside(options, run, AbortSignal.any([drain, signal])),
    drain,
    signal,
  })
}

/** What becomes of a sync that cannot go on, and of the run at work. */
function settingAside(options: FollowOptions, of: RunEvent, signal: AbortSignal): SettingAside {
  const { sync, incarnation } = of
  const asides = new SetAsides({ ...options, sync })
  const placeOf = (target: TopicPartition | null): number | null => target?.partition ?? null
  /** By place: how often it has failed in a row in the run that was at work then. */
  const ofRuns = new Map<number | null, { readonly run: number | null; readonly failures: number }>()
  return {
    async failed(target, error, failures) {
      const place = placeOf(target)
      asides.failed(place, error)
      const known = options.runs.of(sync)
      const run = known === undefined ? null : (openRun(known)?.run ?? null)
      const before = ofRuns.get(place)
      const isInRow = before !== undefined && before.run === run && failures > 1
      const ofRun = { run, failures: isInRow ? before.failures + 1 : 1 }
      ofRuns.set(place, ofRun)
      // What failed in an earlier run says nothing of this one, of which nothing was tried yet.
      if (ofRun.failures < FAILURES_THAT_END_A_RUN) return
      const { stage } = options
      const tell = (partition: number): Promise<void> =>
        reportSetAside(options, { stage, sync, incarnation, partition, error }, { signal })
      const all = Array.from({ length: of.partitions }, (_, partition) => partition)
      try {
        if (target !== null) await tell(target.partition)
        else
          await Promise.all(all.map(partition => unlessHeld(options, of, { partition, signal, then: tell })))
      } catch (untold) {
        // Where the run is over, or the work, nobody has to know any more.
        if (!signal.aborted) throw untold
      }
    },
    works: target => asides.works(placeOf(target)),
    left: target => asides.left(placeOf(target)),
  }
}

/** Who is no member has no partition: of one that another process is at work on it has nothing to tell. */
async function unlessHeld(
  { holds, stage }: FollowOptions,
  of: RunEvent,
  {
    partition,
    signal,
    then,
  }: {
    readonly partition: number
    readonly signal: AbortSignal
    readonly then: (partition: number) => Promise<void>
  },
): Promise<void> {
  const patience = AbortSignal.timeout(PATIENCE_FOR_HOLD_MS)
  try {
    await using _free = await holds.acquire(holdOf(stage, of, partition), {
      signal: AbortSignal.any([signal, patience]),
    })
    await then(partition)
  } catch (error) {
    if (error !== patience.reason) throw error
  }
}

function holdOf(stage: StageName, { sync, incarnation }: RunEvent, partition: number): string {
  return `${stage}/${sync}/${incarnation}/${partition}`
}
