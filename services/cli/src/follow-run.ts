/** Asks for a run and follows it to its end. */
import { randomUUID } from 'node:crypto'
import type { RunView } from '@sluice/contracts/api'
import type { Command, RunEvent } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { isEnded } from '@sluice/domain/run-status'
import { runView } from '@sluice/history/run-views'
import type { SyncRuns } from '@sluice/stage/runs-view'
import { at, homePartition, sharedTopics, textKey } from '@sluice/stage/topics'
import type { Pipeline } from './pipeline.ts'

export interface FollowedRun {
  readonly view: RunView
  readonly event: RunEvent
}

/** Sends the command to run a sync; resolves with the run's id once the command is acknowledged. */
export async function requestRun(pipeline: Pipeline, sync: string, signal: AbortSignal): Promise<string> {
  const id = pipeline.newRunId()
  await sendCommand(pipeline, { id, kind: 'run', sync, cause: 'manual', run: null, at: Date.now() }, signal)
  return id
}

async function sendCommand(pipeline: Pipeline, command: Command, signal: AbortSignal): Promise<void> {
  const { log, io, prefix } = pipeline
  const target = at(sharedTopics(prefix).commands, homePartition(command.sync))
  const record = { key: textKey(command.sync), value: io.encode('Command', command) }
  await log.append(target, [record], { signal })
}

/**
 * Calls `onProgress` with each new state of the run, and resolves once it has ended or is held. When `cancel`
 * aborts, the run is cancelled, and waited for.
 */
export async function followRun(
  pipeline: Pipeline,
  of: { readonly sync: string; readonly runId: string; readonly definition: Definition },
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
    const { sync } = of
    const command = {
      id: randomUUID(),
      kind: 'cancel',
      sync,
      cause: 'manual',
      run: runId,
      at: Date.now(),
    } as const
    sendCommand(pipeline, command, signal).catch((err: unknown) =>
      pipeline.logger.warn({ err, run: runId }, 'the run could not be asked to stop'),
    )
  }
  cancel.addEventListener('abort', cancelRun, { once: true })
  if (cancel.aborted) cancelRun()
  try {
    for (;;) {
      const seen = runs.changes.version
      const known = runs.of(of.sync)
      const event = known?.events.get(runId)
      const instead = event?.errorCode === 'conflict' ? queuedRunOf(known) : null
      if (instead !== null) runId = instead
      else if (known !== undefined && event !== undefined) {
        const view = runView(event, of.definition, known.reports)
        if (isEnded(event.status) || event.status === 'held') return { view, event }
        onProgress(view)
      }
      if (instead === null) await runs.until(() => runs.changes.version !== seen, { signal })
    }
  } finally {
    cancel.removeEventListener('abort', cancelRun)
  }
}

/**
 * The queued run of a sync: it takes the place of one that was asked for while it waited, and sees the same
 * rows.
 */
function queuedRunOf(runs: SyncRuns | undefined): string | null {
  for (const event of runs?.events.values() ?? []) if (event.status === 'queued') return event.runId
  return null
}
