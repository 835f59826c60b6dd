/**
 * What is left to do for a sync that lacks a topic: nobody can own it, so its runs, and what is asked of it,
 * fail with the reason, until somebody resets it.
 */
import type { SluiceError } from '@sluice/contracts/errors'
import type { RunEvent } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { at, homePartition, runKey, sharedTopics } from '@sluice/stage/topics'
import { forgetSync } from './reset-sync.ts'
import { endedRun, failedRun, queuedRun, type RunState } from './run-events.ts'
import type { RunnerDeps } from './runner-deps.ts'
import type { WaitingCommand } from './sync-tenure.ts'

/**
 * Takes the commands that wait, up to a reset; resolves once all this is acknowledged. Only a member of the
 * detectors' group, whose the sync is, may do so.
 */
export async function endLostSync(
  deps: RunnerDeps,
  sync: string,
  of: { readonly waiting: WaitingCommand[]; readonly error: SluiceError; readonly signal: AbortSignal },
): Promise<void> {
  const { waiting, error, signal } = of
  const known = deps.runs.of(sync)
  const { incarnation = '', marker = -1, reports } = known ?? {}
  const write = async (run: RunState): Promise<void> => {
    const { log, io, prefix } = deps
    const event: RunEvent = { ...run, sync, incarnation, marker }
    const record = { key: runKey(sync, run.runId), value: io.encode('RunEvent', event) }
    await log.append(at(sharedTopics(prefix).runs, homePartition(sync)), [record], { signal })
  }
  for (const event of [...(known?.events.values() ?? [])].filter(({ status }) => !isEnded(status))) {
    const own = [...(reports?.values() ?? [])].filter(report => report.run === event.run)
    const lost = { ...event, error: error.message, errorCode: error.code }
    const isAtWork = event.status === 'running'
    await write(
      isAtWork ? endedRun(lost, own, { sealed: true, at: deps.now() }) : failedRun(event, error, deps.now()),
    )
  }
  for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
    const { id: runId, kind, cause, scope } = next.command
    const asked = { runId, cause, scope: scope ?? null, command: next.offset, partitions: 0, at: deps.now() }
    const run = queuedRun(asked)
    if (kind === 'reset') await forgetSync(deps, sync, { old: incarnation, run, signal })
    else if (kind === 'run') await write(failedRun(run, error, deps.now()))
    waiting.shift()
    next.resolve()
    if (kind === 'reset') return
  }
}
