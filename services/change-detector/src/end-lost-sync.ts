/**
 * What is left to do for a sync that lacks a topic: nobody can own it, so its runs, and what is asked of it,
 * fail with the reason, until somebody resets it.
 */
import type { SluiceError } from '@sluice/contracts/errors'
import { isEnded } from '@sluice/domain/run-status'
import type { SyncRuns } from '@sluice/stage/runs-view'
import { appendRunEvent } from './append-run-event.ts'
import { forgetSync } from './reset-sync.ts'
import { endedRun, failedRun, queuedRun, type RunState } from './run-events.ts'
import type { RunnerDeps } from './runner-deps.ts'
import type { WaitingCommand } from './sync-tenure.ts'

/**
 * Takes the commands that wait, up to a reset; carries that out, and one that was cut when its topics had
 * gone. Resolves once all this is acknowledged. Only a member of the detectors' group, whose the sync is, may
 * do so.
 */
export async function endLostSync(
  deps: RunnerDeps,
  sync: string,
  of: { readonly waiting: WaitingCommand[]; readonly error: SluiceError; readonly signal: AbortSignal },
): Promise<void> {
  const { waiting, error, signal } = of
  const known = deps.runs.of(sync)
  const { incarnation = '', marker = -1 } = known ?? {}
  const events = [...(known?.events.values() ?? [])]
  const cut = events.find(({ cause, status }) => cause === 'reset' && status === 'queued')
  if (cut !== undefined) return forgetSync(deps, sync, { old: incarnation, run: cut, signal })
  const end = (run: RunState): Promise<void> => {
    const ended = endOfLost(run, { error, known, at: deps.now() })
    return appendRunEvent(deps, { ...ended, sync, incarnation, marker }, { signal })
  }
  for (const event of events) if (!isEnded(event.status)) await end(event)
  const taken = Math.max(-1, ...events.map(event => event.command))
  for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
    const { id: runId, kind, cause, scope } = next.command
    const asked = { runId, cause, scope: scope ?? null, command: next.offset, partitions: 0, at: deps.now() }
    const run = queuedRun(asked)
    const isNew = next.offset > taken
    if (isNew && kind === 'reset') await forgetSync(deps, sync, { old: incarnation, run, signal })
    else if (isNew && kind === 'run') await end(run)
    waiting.shift()
    next.resolve()
    if (isNew && kind === 'reset') return
  }
}

/** A run that fails, with what of it was reported. */
function endOfLost(
  run: RunState,
  of: { readonly error: SluiceError; readonly known: SyncRuns | undefined; readonly at: number },
): RunState {
  const { error, known, at } = of
  if (run.status !== 'running') return failedRun(run, error, at)
  const reports = [...(known?.reports.values() ?? [])].filter(report => report.run === run.run)
  return endedRun({ ...run, error: error.message, errorCode: error.code }, reports, { sealed: true, at })
}
