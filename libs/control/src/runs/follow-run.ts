/** Sends commands to the detector of a sync, and follows a run until it ends. */
import { randomUUID } from 'node:crypto'
import type { RunView } from '@sluice/contracts/api'
import type { Command, RunEvent } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { isEnded } from '@sluice/domain/run-status'
import { joinQueued } from '@sluice/runs/machine/join-queued'
import type { SyncRuns } from '@sluice/runs/runs-view'
import { at, homePartition, sharedTopics, textKey } from '@sluice/topics/topics'
import type { Pipeline } from '../pipeline.ts'
import type { RunWaits } from '../waits/run-waits.ts'

/** A command, and the run that it is about. */
export interface AskedRun {
  readonly command: Command
  /** Another command for the same sync, which is sent first: an approval that resets the sync. */
  readonly after?: Command
  /** The run that is followed. */
  readonly runId: string
  /** The definition says which triggers the counts of the run have. Null if it is not known. */
  readonly definition: Definition | null
  /** False if the command needs nothing of the project. */
  readonly publishes: boolean
  /** A state of the run that the caller knows already. The caller waits for a later state. */
  readonly beyond?: RunEvent
}

/** True for a command that asks for a new run, which has no event yet. */
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

/** Sends commands of one sync, in their order. Resolves once they are acknowledged. */
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

/** A run among the runs of its sync. */
export interface SeenRun {
  readonly event: RunEvent
  readonly runs: Pick<SyncRuns, 'events' | 'reports'>
}

/**
 * Yields the state of a run, and then each later state, until the run has ended. If the run was refused
 * because another run was queued, it yields the states of the queued run.
 */
export async function* followRun(
  { runs }: Pick<Pipeline, 'runs'>,
  {
    runId,
    waits,
    find,
    viewOf,
  }: {
    readonly runId: string
    readonly waits: RunWaits
    /** Undefined as long as no detector has taken the run up. */
    readonly find: (runId: string) => SeenRun | undefined
    /** Null for a state that is not shown. */
    readonly viewOf: (run: SeenRun) => Promise<RunView | null>
  },
  signal: AbortSignal,
): AsyncGenerator<RunView> {
  let id = runId
  let shown = ''
  for (;;) {
    const seen = runs.changes.version
    const run = find(id)
    const instead = run === undefined ? null : standInFor(run.event, run.runs)
    if (instead !== null) {
      id = instead
      continue
    }
    const view = run === undefined ? null : await viewOf(run)
    const text = JSON.stringify(view)
    if (view !== null && text !== shown) yield view
    shown = text
    if (run !== undefined && isEnded(run.event.status)) return
    await waits.changed(seen, signal)
  }
}

/**
 * The id of the queued run because of which this run was refused. The queued run sees the same rows. By now
 * it may be at work, or over. Null for a run that was not refused for this reason.
 */
function standInFor(run: RunEvent, { events }: Pick<SyncRuns, 'events'>): string | null {
  if (run.errorCode !== 'conflict') return null
  const asked = run.queuedAt
  let found: RunEvent | null = null
  for (const event of events.values()) {
    // A run that was refused as well was never queued.
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
