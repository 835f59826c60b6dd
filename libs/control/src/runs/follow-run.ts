/** Sends commands to the detector of a sync, and follows a run to its end. */
import { randomUUID } from 'node:crypto'
import type { RunView } from '@sluice/contracts/api'
import type { Command, RunEvent } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { isEnded } from '@sluice/domain/run-status'
import { runView } from '../history/run-views.ts'
import { joinQueued } from '@sluice/runs/machine/join-queued'
import type { SyncRuns } from '@sluice/runs/runs-view'
import { at, homePartition, sharedTopics, textKey } from '@sluice/topics/topics'
import type { Pipeline } from '../pipeline.ts'
import type { FollowedRun } from '../port.ts'
import type { RunWaits } from '../waits/run-waits.ts'

/** A command, and the run that it is about. */
export interface Asked {
  readonly command: Command
  /**
   * A command that goes before it, for the same sync: an approval that resets, so that the run begins anew.
   */
  readonly after?: Command
  /** The run that is followed. */
  readonly runId: string
  /** Says which triggers the figures of the run have; null if it is not known. */
  readonly definition: Definition | null
  /** False if the command needs nothing of the project. */
  readonly publishes: boolean
  /** A state of the run that is known already, so that the caller does not wait for it. */
  readonly beyond?: RunEvent
}

/** True for a command that asks for a run, which has no event yet. */
export function isNew({ kind }: Command): boolean {
  return kind === 'run' || kind === 'reset'
}

/**
 * The command for a run that a person asks for. `more` has its cause and scope, if they are not the usual
 * ones.
 */
export function runCommand(
  pipeline: Pipeline,
  sync: string,
  more: Partial<Pick<Command, 'kind' | 'cause' | 'scope' | 'by' | 'run' | 'destination'>> = {},
): Command {
  return {
    id: pipeline.newRunId(),
    kind: 'run',
    sync,
    cause: 'manual',
    run: null,
    at: Date.now(),
    scope: null,
    ...more,
  }
}

/** A command for a run that exists. */
export function commandAbout(
  run: Pick<RunEvent, 'sync' | 'runId'>,
  kind: 'cancel' | 'approve',
  by: string | null,
): Command {
  const { sync, runId } = run
  return { id: randomUUID(), kind, sync, cause: 'manual', run: runId, at: Date.now(), scope: null, by }
}

/** Commands of one sync, in their order. Resolves once they are acknowledged. */
export async function sendCommands(
  pipeline: Pipeline,
  [command, ...more]: readonly [Command, ...Command[]],
  signal: AbortSignal,
): Promise<void> {
  const { log, io, prefix } = pipeline
  const target = at(sharedTopics(prefix).commands, homePartition(command.sync))
  const records = [command, ...more].map(one =>
    io.signed(target.topic, { key: textKey(one.sync), value: io.encode('Command', one) }),
  )
  await log.append(target, records, { signal })
}

const NONE: Pick<SyncRuns, 'events' | 'reports'> = { events: new Map(), reports: new Map() }

/**
 * Calls `onProgress` with each new state of the run, and resolves once the run has ended or is held. It
 * passes over `beyond`, a state that the caller knows already. For example, `sluice approve` waits for what
 * comes after the held state. When `cancel` aborts, this function cancels the run and still waits for its
 * end.
 */
export async function followRun(
  pipeline: Pipeline,
  of: {
    readonly waits: RunWaits
    /** The run before any detector has taken its command up. */
    readonly untaken?: RunEvent | undefined
    readonly sync: string
    readonly runId: string
    readonly definition: Definition | null
    readonly beyond?: RunEvent | undefined
    /** Who cancels the run if `cancel` aborts. */
    readonly by: string | null
  },
  options: {
    readonly onProgress: (view: RunView) => void
    readonly cancel: AbortSignal
    readonly signal: AbortSignal
  },
): Promise<FollowedRun> {
  const { runs } = pipeline
  const { cancel, signal, onProgress } = options
  let { runId } = of
  const cancelRun = (): void => {
    const command = commandAbout({ sync: of.sync, runId }, 'cancel', of.by)
    sendCommands(pipeline, [command], signal).catch((err: unknown) =>
      pipeline.logger.warn({ err, run: runId }, 'the run could not be asked to stop'),
    )
  }
  cancel.addEventListener('abort', cancelRun, { once: true })
  if (cancel.aborted) cancelRun()
  try {
    for (;;) {
      const seen = runs.changes.version
      const known = runs.of(of.sync)
      const event = known?.events.get(runId) ?? (runId === of.untaken?.runId ? of.untaken : undefined)
      const instead = event === undefined ? null : standInFor(event, known)
      if (instead !== null) runId = instead
      else if (event !== undefined && event !== of.beyond) {
        const around = known ?? NONE
        const waiting = await of.waits.of(event, around, signal)
        const view = runView(event, of.definition, around.reports, waiting)
        if (isEnded(event.status) || event.status === 'held') return { view }
        // Mostly a detector takes it up at once. Then its first event is the first state.
        if (event !== of.untaken || waiting.length > 0) onProgress(view)
      }
      if (instead === null) await of.waits.changed(seen, signal)
    }
  } finally {
    cancel.removeEventListener('abort', cancelRun)
  }
}

/**
 * Of a run that was refused because another one was queued, that one: it sees the same rows. By now it may be
 * at work, or over. Null for any other run.
 */
export function standInFor(run: RunEvent, runs: Pick<SyncRuns, 'events'> | undefined): string | null {
  if (run.errorCode !== 'conflict') return null
  const asked = run.queuedAt
  let found: RunEvent | null = null
  for (const event of runs?.events.values() ?? []) {
    // Another run that was refused was never queued.
    if (joinQueued([event], run) === null) continue
    if (event.startedAt === null && event.endedAt === event.queuedAt) continue
    const isQueued = event.status === 'queued'
    const leftQueueAt = isQueued ? Infinity : (event.startedAt ?? event.endedAt ?? Infinity)
    // The clock of another detector may be behind.
    const wasQueued = isQueued || (event.queuedAt <= asked && asked <= leftQueueAt)
    if (wasQueued && (found === null || event.queuedAt >= found.queuedAt)) found = event
  }
  return found?.runId ?? null
}
