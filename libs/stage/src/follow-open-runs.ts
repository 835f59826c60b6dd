/**
 * Has one worker per sync with an open run, and none for the others, so that a sync without a run holds no
 * consumer. Renderer and delivery are both built on it.
 */
import type { RunEvent } from '@sluice/contracts/records'
import type { Figures } from './figures.ts'
import { assertKept } from './kept-topics.ts'
import { ownPartitions, type Readiness, type Worker } from './own-partitions.ts'
import { openRun, type RunsView } from './runs-view.ts'
import type { Holds } from '@sluice/holds/port'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { Stage } from './topics.ts'

export interface FollowOptions {
  readonly stage: Stage
  readonly log: MessageLog
  readonly holds: Holds
  readonly figures?: Figures | undefined
  readonly readiness?: Readiness | undefined
  readonly runs: RunsView
  readonly prefix: string
  /** Group and topic whose partitions are shared out for a sync. */
  readonly groupOf: (run: RunEvent) => string
  readonly topicOf: (run: RunEvent) => string
  readonly work: (run: RunEvent, worker: Worker) => Promise<void>
  /** As for `ownPartitions`. */
  readonly outlasts?: boolean | undefined
  readonly onSetback: (run: RunEvent, target: TopicPartition | null, error: unknown) => void
  readonly drain: AbortSignal
  readonly signal: AbortSignal
}

/**
 * Resolves once drained; rejects with the first failure that no worker can recover from, after all have
 * stopped.
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
  const { stage, log, holds, figures, readiness, outlasts, signal } = options
  await ownPartitions({
    log,
    holds,
    readiness,
    outlasts,
    group: options.groupOf(run),
    topic: options.topicOf(run),
    holdOf: ({ partition }) => `${stage}/${run.sync}/${run.incarnation}/${partition}`,
    work: async worker => {
      const { partition } = worker.target
      await assertKept(options, { sync: run.sync, partition }, { signal: worker.signal })
      figures?.takenOver(stage, run.sync)
      await options.work(run, worker)
    },
    onSetback: (target, error) => options.onSetback(run, target, error),
    drain,
    signal,
  })
}
