/**
 * Ends the runs of a suspended sync: one that no process can own (PROTOCOL.md §11). The machine of
 * `libs/runs` says which runs end, and how. Their events are written without an owner's writer, since no
 * process can have one.
 */
import { isEnded } from '@sluice/domain/run-status'
import { concernOf } from '@sluice/partition/failures'
import { knownIncarnation } from '@sluice/resources/incarnations'
import { homePartition } from '@sluice/topics/topics'
import { findRuns } from '@sluice/runs/machine/find-runs'
import { step } from '@sluice/runs/machine/step'
import type { Suspension, Fact, Next, SyncLife } from '@sluice/runs/machine/sync-life'
import type { SyncRuns } from '@sluice/runs/runs-view'
import { appendRunEvent } from '@sluice/runs/run-event-record'
import { traceRun } from '../run/run-spans.ts'
import { forgetSync } from './reset-sync.ts'
import type { PendingDue } from './pending-due.ts'
import type { RunnerDeps } from './runner-deps.ts'
import type { WaitingCommand } from './sync-owner.ts'

interface SuspendedOptions {
  readonly waiting: WaitingCommand[]
  readonly due: PendingDue
  readonly error: unknown
  readonly signal: AbortSignal
}

/**
 * Ends the open runs, then takes the commands that wait, up to a reset. An interrupted reset is carried out
 * first. Resolves once all this is acknowledged: with true after a reset, since the sync begins again from
 * nothing. Only the member of the detectors' group that the sync belongs to may call it.
 */
export async function endSuspended(
  deps: RunnerDeps,
  sync: string,
  options: SuspendedOptions,
): Promise<boolean> {
  await deps.runs.caughtUp(homePartition(sync), { signal: options.signal })
  const known = deps.runs.of(sync)
  const incarnation = known?.incarnation ?? (await knownIncarnation(deps, sync, options)) ?? ''
  return await new Ending(deps, { ...options, sync, known, incarnation }).carryOut()
}

interface EndingOptions extends SuspendedOptions {
  readonly sync: string
  readonly known: SyncRuns | undefined
  readonly incarnation: string
}

class Ending {
  readonly #deps: RunnerDeps
  readonly #options: EndingOptions
  #life: SyncLife

  constructor(deps: RunnerDeps, options: EndingOptions) {
    this.#deps = deps
    this.#options = options
    this.#life = findRuns(options.known, options.sync, [])
  }

  async carryOut(): Promise<boolean> {
    const { waiting, due: pending } = this.#options
    if (await this.#isReset(await this.#step({ kind: 'suspended', aside: this.#aside() }))) return true
    const { fired } = pending
    if (fired !== null) {
      const aside = this.#aside()
      const due = { kind: 'due', fired, runId: this.#deps.newRunId(), partitions: 0, at: aside.at } as const
      await this.#step({ kind: 'due-suspended', due, aside })
      pending.done(fired)
    }
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const { command, offset } = next
      const aside = this.#aside()
      const asked = { kind: 'asked', command, offset, partitions: 0, at: aside.at } as const
      const isReset = await this.#isReset(await this.#step({ kind: 'asked-suspended', asked, aside }))
      waiting.shift()
      next.resolve()
      if (isReset) return true
    }
    return false
  }

  /** Carries out a reset, if that is next. Resolves with false if Kafka refuses it: the reset has failed. */
  async #isReset(next: Next): Promise<boolean> {
    const { sync, incarnation: old, signal } = this.#options
    const [run] = this.#life.queued
    if (next !== 'reset' || run === undefined) return false
    try {
      await forgetSync(this.#deps, sync, { old, run, signal })
      return true
    } catch (error) {
      if (concernOf(error) !== 'sync') throw error
      await this.#step({ kind: 'reset-failed', error, at: this.#deps.now() })
      return false
    }
  }

  async #step(fact: Fact): Promise<Next> {
    const { sync, incarnation, known, signal } = this.#options
    const { life, events, next } = step(this.#life, fact)
    this.#life = life
    for (const run of events) {
      const event = { ...run, sync, incarnation, marker: known?.marker ?? -1 }
      await appendRunEvent(this.#deps, event, { signal })
      if (isEnded(run.status)) traceRun(this.#deps.traces, sync, run)
    }
    return next
  }

  #aside(): Suspension {
    const { sync, incarnation, known, error } = this.#options
    const { now, runs } = this.#deps
    const reports = [...(known?.reports.values() ?? [])]
    return { sync, incarnation, error, reports, endsBefore: runs.endsOf(sync, Infinity) ?? [], at: now() }
  }
}
