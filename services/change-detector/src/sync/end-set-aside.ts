/**
 * What is left to do for a sync that cannot be owned, since something of it is missing, wrong or refused: its
 * run, and what is asked of it, fail with the reason (PROTOCOL.md §11). A reset is carried out, and may be
 * the remedy.
 */
import { isSluiceError } from '@sluice/contracts/errors'
import type { PartitionReport } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { concernOf } from '@sluice/stage/concern-of'
import { knownIncarnation } from '@sluice/stage/incarnations'
import type { SyncRuns } from '@sluice/runs/runs-view'
import { homePartition } from '@sluice/stage/topics'
import { appendRunEvent } from './append-run-event.ts'
import { forgetSync } from './reset-sync.ts'
import { cancelledRun, endedRun, failedRun, queuedRun, type RunState } from '@sluice/runs/machine/run-events'
import type { RunnerDeps } from './runner-deps.ts'
import type { WaitingCommand } from './sync-tenure.ts'

interface SetAside {
  readonly waiting: WaitingCommand[]
  readonly error: unknown
  readonly signal: AbortSignal
}

/**
 * Ends what is open, then takes the commands that wait, up to a reset; one that was cut is carried out first.
 * Resolves once all this is acknowledged, with true after a reset: the sync begins anew. Only a member of the
 * detectors' group, whose the sync is, may do so.
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

  constructor(deps: RunnerDeps, of: EndingOf) {
    this.#deps = deps
    this.#of = of
  }

  async carryOut(): Promise<boolean> {
    const { waiting, known, error } = this.#of
    const events = [...(known?.events.values() ?? [])]
    for (const event of events) {
      if (event.cause === 'reset' && event.status === 'queued' && (await this.#reset(event))) return true
      // Nothing is at work on a held run, which may be approved once the sync can go on.
      const waits = event.status === 'held' && !isSluiceError(error, 'lost-topic')
      if (!isEnded(event.status) && event.cause !== 'reset' && !waits) await this.#end(event)
    }
    const taken = Math.max(-1, ...events.map(event => event.command))
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const isReset = next.offset > taken && (await this.#take(next))
      waiting.shift()
      next.resolve()
      if (isReset) return true
    }
    return false
  }

  /** True once a reset is carried out. */
  async #take({ command, offset }: WaitingCommand): Promise<boolean> {
    const { id: runId, kind, cause, scope } = command
    const at = this.#deps.now()
    const run = queuedRun({ runId, cause, scope: scope ?? null, command: offset, partitions: 0, at })
    if (kind === 'reset') return await this.#reset(run)
    if (kind === 'run') await this.#end(run)
    const meant = this.#of.known?.events.get(command.run ?? '')
    if (meant?.status === 'held' && kind === 'cancel') await this.#write(cancelledRun(meant, at))
    if (meant?.status === 'held' && kind === 'approve') await this.#end(meant)
    return false
  }

  /** False where Kafka refuses that, too: the reset has failed then. */
  async #reset(run: RunState): Promise<boolean> {
    const { sync, incarnation: old, signal } = this.#of
    try {
      await forgetSync(this.#deps, sync, { old, run, signal })
      return true
    } catch (error) {
      if (concernOf(error) !== 'sync') throw error
      await this.#write(failedRun(run, error, this.#deps.now()))
      return false
    }
  }

  async #end(run: RunState): Promise<void> {
    const { now } = this.#deps
    await this.#write(run.run === null ? failedRun(run, this.#of.error, now()) : this.#endOfBegun(run))
  }

  /**
   * The end of a run that has begun, with what of it was reported. Nobody knows what becomes of the rest: it
   * may be delivered still, so the next run takes it as unknown.
   */
  #endOfBegun(run: RunState): RunState {
    const { sync, known, error } = this.#of
    const { now, runs } = this.#deps
    const message = error instanceof Error ? error.message : String(error)
    const partitions = Array.from({ length: run.partitions }, (_, partition) => partition)
    const reports = partitions.map((partition): PartitionReport => {
      const last = known?.reports.get(partition)
      const own = last?.run === run.run ? last : null
      if (own?.ended === true) return own
      const { marker = -1, counts = {}, attemptsEnd = 0 } = own ?? {}
      const { incarnation } = this.#of
      const place = { sync, incarnation, run: run.run ?? 0, partition, marker, counts, attemptsEnd }
      const end = { ended: true, faultedFrom: 0, error: message, errorCode: null } as const
      return { ...place, ...end, waiting: null, requestsEnd: 0 }
    })
    const errorCode = isSluiceError(error) ? error.code : 'internal'
    const endsBefore = runs.endsOf(sync, Infinity) ?? []
    const of = { sealed: !run.complete, at: now(), endsBefore }
    return endedRun({ ...run, error: message, errorCode }, reports, of)
  }

  async #write(run: RunState): Promise<void> {
    const { sync, incarnation, known, signal } = this.#of
    const event = { ...run, held: null, sync, incarnation, marker: known?.marker ?? -1 }
    await appendRunEvent(this.#deps, event, { signal })
  }
}
