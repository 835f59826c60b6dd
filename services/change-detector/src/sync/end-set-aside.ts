/**
 * The work that is left for a sync that no process can own (PROTOCOL.md §11). The machine of `libs/runs` says
 * which of its runs end, and how. Their events are written without an owner's writer, since no process can
 * have one.
 */
import { isEnded } from '@sluice/domain/run-status'
import { concernOf } from '@sluice/partition/failures'
import { knownIncarnation } from '@sluice/resources/incarnations'
import { homePartition } from '@sluice/topics/topics'
import { findRuns } from '@sluice/runs/machine/find-runs'
import { step } from '@sluice/runs/machine/step'
import type { Aside, Fact, Next, SyncLife } from '@sluice/runs/machine/sync-life'
import type { SyncRuns } from '@sluice/runs/runs-view'
import { appendRunEvent } from '@sluice/runs/run-event-record'
import { traceRun } from '../run/run-spans.ts'
import { forgetSync } from './reset-sync.ts'
import type { PendingDue } from './pending-due.ts'
import type { RunnerDeps } from './runner-deps.ts'
import type { WaitingCommand } from './sync-tenure.ts'

interface SetAside {
  readonly waiting: WaitingCommand[]
  readonly due: PendingDue
  readonly error: unknown
  readonly signal: AbortSignal
}

/**
 * Ends the open runs, then takes the commands that wait, up to a reset. A reset that was cut is carried out
 * first. Resolves once all this is acknowledged: with true after a reset, since the sync begins again from
 * nothing. Only the member of the detectors' group that the sync belongs to may call it.
 */
export async function endSetAside(deps: RunnerDeps, sync: string, of: SetAside): Promise<boolean> {
  await deps.runs.caughtUp(homePartition(sync), { signal: of.signal })
  const known = deps.runs.of(sync)
  const incarnation = known?.incarnation ?? (await knownIncarnation(deps, sync, of)) ?? ''
  return await new Ending(deps, { ...of, sync, known, incarnation }).carryOut()
}

interface EndingOf extends SetAside {
  readonly sync: string
  readonly known: SyncRuns | undefined
  readonly incarnation: string
}

class Ending {
  readonly #deps: RunnerDeps
  readonly #of: EndingOf
  #life: SyncLife

  constructor(deps: RunnerDeps, of: EndingOf) {
    this.#deps = deps
    this.#of = of
    this.#life = findRuns(of.known, of.sync, [])
  }

  async carryOut(): Promise<boolean> {
    const { waiting, due: pending } = this.#of
    if (await this.#isReset(await this.#tell({ kind: 'set-aside', aside: this.#aside() }))) return true
    const { fired } = pending
    if (fired !== null) {
      const aside = this.#aside()
      const due = { kind: 'due', fired, runId: this.#deps.newRunId(), partitions: 0, at: aside.at } as const
      await this.#tell({ kind: 'due-aside', due, aside })
      pending.done(fired)
    }
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const { command, offset } = next
      const aside = this.#aside()
      const asked = { kind: 'asked', command, offset, partitions: 0, at: aside.at } as const
      const isReset = await this.#isReset(await this.#tell({ kind: 'asked-aside', asked, aside }))
      waiting.shift()
      next.resolve()
      if (isReset) return true
    }
    return false
  }

  /** Carries out a reset, if that is next. False if Kafka refuses that, too: the reset has failed then. */
  async #isReset(next: Next): Promise<boolean> {
    const { sync, incarnation: old, signal } = this.#of
    const [run] = this.#life.queued
    if (next !== 'reset' || run === undefined) return false
    try {
      await forgetSync(this.#deps, sync, { old, run, signal })
      return true
    } catch (error) {
      if (concernOf(error) !== 'sync') throw error
      await this.#tell({ kind: 'reset-failed', error, at: this.#deps.now() })
      return false
    }
  }

  async #tell(fact: Fact): Promise<Next> {
    const { sync, incarnation, known, signal } = this.#of
    const { life, events, next } = step(this.#life, fact)
    this.#life = life
    for (const run of events) {
      const event = { ...run, sync, incarnation, marker: known?.marker ?? -1 }
      await appendRunEvent(this.#deps, event, { signal })
      if (isEnded(run.status)) traceRun(this.#deps.traces, sync, run)
    }
    return next
  }

  #aside(): Aside {
    const { sync, incarnation, known, error } = this.#of
    const { now, runs } = this.#deps
    const reports = [...(known?.reports.values() ?? [])]
    return { sync, incarnation, error, reports, endsBefore: runs.endsOf(sync, Infinity) ?? [], at: now() }
  }
}
