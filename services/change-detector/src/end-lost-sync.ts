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
  const { incarnation: old = '' } = deps.runs.of(sync) ?? {}
  const events = [...(deps.runs.of(sync)?.events.values() ?? [])]
  const cut = events.find(({ cause, status }) => cause === 'reset' && status === 'queued')
  if (cut !== undefined) return forgetSync(deps, sync, { old, run: cut, signal })
  const lost = new LostSync(deps, sync, { error, signal })
  for (const event of events) if (!isEnded(event.status)) await lost.end(event)
  const taken = Math.max(-1, ...events.map(event => event.command))
  for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
    const { id: runId, kind, cause, scope } = next.command
    const asked = { runId, cause, scope: scope ?? null, command: next.offset, partitions: 0, at: deps.now() }
    const run = queuedRun(asked)
    const isNew = next.offset > taken
    if (isNew && kind === 'reset') await forgetSync(deps, sync, { old, run, signal })
    else if (isNew && kind === 'run') await lost.end(run)
    waiting.shift()
    next.resolve()
    if (isNew && kind === 'reset') return
  }
}

class LostSync {
  readonly #deps: RunnerDeps
  readonly #sync: string
  readonly #error: SluiceError
  readonly #signal: AbortSignal

  constructor(
    deps: RunnerDeps,
    sync: string,
    of: { readonly error: SluiceError; readonly signal: AbortSignal },
  ) {
    this.#deps = deps
    this.#sync = sync
    this.#error = of.error
    this.#signal = of.signal
  }

  /** Lets a run fail, with what of it was reported. */
  async end(run: RunState): Promise<void> {
    const { runs, now } = this.#deps
    const { message: error, code: errorCode } = this.#error
    const reports = [...(runs.of(this.#sync)?.reports.values() ?? [])].filter(one => one.run === run.run)
    const ended =
      run.status === 'running'
        ? endedRun({ ...run, error, errorCode }, reports, { sealed: true, at: now() })
        : failedRun(run, this.#error, now())
    await this.#write(ended)
  }

  async #write(run: RunState): Promise<void> {
    const { log, io, prefix, runs } = this.#deps
    const sync = this.#sync
    const { incarnation = '', marker = -1 } = runs.of(sync) ?? {}
    const event: RunEvent = { ...run, sync, incarnation, marker }
    const record = { key: runKey(sync, run.runId), value: io.encode('RunEvent', event) }
    const target = at(sharedTopics(prefix).runs, homePartition(sync))
    await log.append(target, [record], { signal: this.#signal })
  }
}
