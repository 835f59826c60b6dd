/**
 * One tenure of a sync: from taking its partitions over until there is nothing more to do, or something got
 * in the way. Commands are taken while a run is at work; runs are one at a time, and one more may be queued
 * (R13).
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Command, Fault } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { Notifier } from '@sluice/flow/notifier'
import { incarnationOf, knownIncarnation } from '@sluice/stage/incarnations'
import { assertAllKept } from '@sluice/stage/kept-topics'
import { homePartition, syncTopics, syncTopicSpecs } from '@sluice/stage/topics'
import { finishOpenRun, isInterrupted } from '../run/finish-open-run.ts'
import { findRuns, type FoundRuns } from './find-runs.ts'
import type { OldRuns } from '../run/old-runs.ts'
import { joinQueued } from './queue-run.ts'
import { ownSync, type SyncOwnership } from './own-sync.ts'
import { endCutReset, resetSync } from './reset-sync.ts'
import { RunExecution } from '../run/run-execution.ts'
import {
  anewRun,
  approvedRun,
  cancelledRun,
  isAnewOf,
  queuedRun,
  supersededRun,
  withApprovalOf,
  type RunState,
} from '../run/run-events.ts'
import type { RunnerDeps, RunnerEnds } from './runner-deps.ts'
import type { RunAtWork, Tenure } from './tenure.ts'

export interface WaitingCommand {
  readonly command: Command
  readonly offset: number
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

export class SyncTenure implements Tenure, AsyncDisposable {
  readonly sync: string
  readonly deps: RunnerDeps
  readonly ownership: SyncOwnership
  /** Ends all but publishing; `publishing` ends that, too. Both abort when one half of the work fails. */
  readonly ends: RunnerEnds
  /** Ids of the runs that this process has begun, in this tenure or before. */
  readonly begunHere: Set<string>
  /** How far this process has looked for runs to forget, in this tenure or before. */
  readonly oldRuns: OldRuns
  readonly #failed = new AbortController()
  readonly #changes = new Notifier()
  /** Number of the last run. */
  lastRun: number
  /** True if the next run is the sync's first: none has been through its model so far. */
  first: boolean
  /** Where earlier runs lost track of changes, and no complete run has taken that into account. */
  faults: readonly Fault[]
  /** What an earlier owner left at work, to be adopted or sealed before another run starts. */
  open: RunState | null
  running: RunAtWork | null = null
  #queued: RunState | null
  /** Waits for approval; no other run comes between. */
  #held: RunState | null
  #lastCommand: number
  /** True if nothing is to be done anew for what is open: somebody cancelled the run that did. */
  #anewCancelled: boolean

  private constructor(
    deps: RunnerDeps,
    ownership: SyncOwnership,
    { ends, begunHere, oldRuns }: Pick<Tenure, 'ends' | 'begunHere' | 'oldRuns'>,
    found: FoundRuns,
  ) {
    this.sync = ownership.sync
    this.deps = deps
    this.ownership = ownership
    this.begunHere = begunHere
    this.oldRuns = oldRuns
    this.ends = {
      signal: AbortSignal.any([ends.signal, this.#failed.signal]),
      publishing: AbortSignal.any([ends.publishing, this.#failed.signal]),
    }
    this.lastRun = found.lastRun
    this.first = found.first
    this.faults = found.faults
    this.open = found.open
    this.#queued = found.queued
    this.#held = found.held
    this.#lastCommand = found.lastCommand
    this.#anewCancelled = found.anewCancelled
    if (this.open !== null) this.running = { state: this.open, cancel: new AbortController() }
  }

  /**
   * Takes the sync over. Rejects with `not-found` if there is no such sync, and with `fenced` if this process
   * has lost it meanwhile.
   */
  static async begin(
    sync: string,
    deps: RunnerDeps,
    of: Pick<Tenure, 'ends' | 'begunHere' | 'oldRuns'> & { readonly isMember: () => Promise<boolean> },
  ): Promise<SyncTenure> {
    const { log, runs, prefix } = deps
    const { signal } = of.ends
    const known = await knownIncarnation(deps, sync, { signal })
    // What is asked of a sync that does not exist leaves nothing behind.
    if (known === null) await deps.resolveDefinition(sync, signal)
    const incarnation = known ?? (await incarnationOf(deps, sync, { signal }))
    await runs.caughtUp(homePartition(sync), { signal })
    await assertAllKept(deps, { sync, incarnation }, { signal })
    const existing = await log.partitionsOf(syncTopics(prefix, sync).changes, { signal })
    const partitions = existing ?? (await makeTopics(sync, deps, signal))
    await assertAlike(sync, partitions, deps, signal)
    const ownership = await ownSync(deps, { sync, incarnation, partitions, signal })
    deps.figures?.takenOver('changes', sync)
    try {
      if (!(await of.isMember()))
        throw new SluiceError('fenced', `${sync} belongs to another detector now`, { retryable: true })
      await runs.caughtUp(homePartition(sync), { signal })
      const before = deps.runs.of(sync)
      await endCutReset(deps, before, { incarnation, signal })
      const own = before?.incarnation === incarnation ? before : undefined
      const found = findRuns(own, sync, await ownership.tails(signal))
      // What was asked before there was such a sync has failed, and is not to be done now.
      const failed = before?.incarnation === '' ? [...before.events.values()].map(event => event.command) : []
      const lastCommand = Math.max(found.lastCommand, ...failed)
      return new SyncTenure(deps, ownership, of, { ...found, lastCommand })
    } catch (error) {
      await ownership[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Makes the tenure look at the commands that wait. */
  look(): void {
    this.#changes.notify()
  }

  /**
   * Takes the waiting commands and carries out runs until there are none of either. Rejects where another
   * takeover is the remedy.
   */
  async work(waiting: WaitingCommand[]): Promise<void> {
    // What was asked for before comes first: it may be to cancel a run that is taken up again.
    await this.#takeAll(waiting)
    const idle = new AbortController()
    const fail = (error: unknown): void => this.#failed.abort(error)
    const accepting = this.#accept(waiting, idle.signal).catch(fail)
    const running = this.#runAll(waiting)
      .catch(fail)
      .finally(() => idle.abort())
    await Promise.all([accepting, running])
    if (this.#failed.signal.aborted) throw this.#failed.signal.reason
  }

  /**
   * Writes a run's event; resolves once it is acknowledged. What is at work is tracked, so that a cancel
   * counts from then on.
   */
  async write(run: RunState): Promise<void> {
    const { running } = this
    const state = running?.state.runId === run.runId ? { ...run, cancelling: running.state.cancelling } : run
    if (running?.state.runId === run.runId) running.state = state
    // Before the end of the cancelled one: a detector that dies between the two finds both again.
    if (state.cancelling && isEnded(state.status)) await this.#cancelAnew(state)
    await this.ownership.writeEvent(state, this.ends.signal)
    if (!isEnded(state.status)) return
    this.begunHere.delete(state.runId)
    if (state.run !== null) this.faults = state.faults
    const { status, error } = state
    this.deps.figures?.ended(this.sync, status)
    this.deps.logger.info({ sync: this.sync, run: run.runId, status, error }, 'the run has ended')
  }

  /** Lets a run wait until somebody approves it. */
  async hold(run: RunState): Promise<void> {
    await this.write(run)
    // Somebody may have cancelled it while the event was on its way.
    if (this.running?.state.cancelling === true) await this.#endHeld(run)
    else this.#held = run
  }

  /**
   * Queues a run in place of one that was cut. What is queued already does as well; if it does something
   * else, only a resync is worth more than that. Nothing is queued where somebody has cancelled the run that
   * was begun anew before.
   */
  async queueAnew(cut: RunState): Promise<void> {
    if (this.#anewCancelled) return
    const { newRunId, now } = this.deps
    const anew = anewRun(cut, { runId: newRunId(), at: now() })
    const queued = this.#queued
    if (queued === null) return this.#setQueued(anew)
    const joined = joinQueued(queued, anew)
    if (joined.kind === 'joined') {
      const does = withApprovalOf(joined.queued, cut)
      if (does !== queued) await this.#setQueued(does)
    } else if (cut.cause === 'resync') {
      const error = `a run takes its place that resyncs what run ${cut.runId}, which was cut, did not`
      // The cut run is open still, so that nothing is forgotten where the detector dies before the new one.
      await this.write({ ...cancelledRun(queued, now()), cancelling: false, error })
      if (this.#queued === queued) this.#queued = null
      await this.queueAnew(cut)
    }
  }

  /**
   * Cancels what was queued in place of a cut run that somebody cancelled. A run that was asked for by itself
   * goes on, without what the cancelled one was approved of.
   */
  async #cancelAnew(cut: RunState): Promise<void> {
    const queued = this.#queued
    if (queued === null || this.open?.runId !== cut.runId) return
    if (isAnewOf(queued, cut)) {
      this.#anewCancelled = true
      this.#queued = null
      await this.write(cancelledRun(queued, this.deps.now()))
    } else if (cut.approved !== null && queued.approved !== null)
      await this.#setQueued({ ...queued, approved: null })
  }

  async #setQueued(run: RunState): Promise<void> {
    this.#queued = run
    await this.write(run)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ownership[Symbol.asyncDispose]()
  }

  async #runAll(waiting: readonly WaitingCommand[]): Promise<void> {
    await finishOpenRun(this)
    for (;;) {
      const seen = this.#changes.version
      const queued = this.#queued
      if (queued !== null) {
        this.#queued = null
        this.running = { state: queued, cancel: new AbortController() }
        if (queued.cause === 'reset') return await resetSync(this, queued)
        await this.#supersedeHeld(queued)
        await new RunExecution(this, queued, this.running.cancel.signal).carryOut()
        this.running = null
      } else if (waiting.length === 0) return
      else await this.#changes.after(seen, { signal: this.ends.signal })
      this.ends.signal.throwIfAborted()
    }
  }

  /** A newer run sees what a held one would: that one has nothing left to wait for. */
  async #supersedeHeld({ runId }: RunState): Promise<void> {
    const held = this.#held
    if (held === null) return
    this.#held = null
    await this.write(supersededRun(held, runId, this.deps.now()))
  }

  async #accept(waiting: WaitingCommand[], idle: AbortSignal): Promise<void> {
    const stopping = AbortSignal.any([idle, this.ends.signal])
    while (!stopping.aborted && !this.#isResetting()) {
      const seen = this.#changes.version
      await this.#takeAll(waiting)
      await this.#changes.after(seen, { signal: stopping }).catch(() => undefined)
    }
  }

  /** Takes what waits. What comes after a reset is for the next tenure, in the new incarnation. */
  async #takeAll(waiting: WaitingCommand[]): Promise<void> {
    for (let next = waiting[0]; next !== undefined && !this.#isResetting(); next = waiting[0]) {
      await this.#take(next.command, next.offset)
      waiting.shift()
      next.resolve()
      this.#changes.notify()
    }
  }

  async #take(command: Command, offset: number): Promise<void> {
    if (offset <= this.#lastCommand) return
    const { sync, ownership, ends } = this
    // Where a topic is lost nobody reports any more: the run at work, and what waits for it, would never end.
    if (this.running !== null)
      await assertAllKept(this.deps, { sync, incarnation: ownership.incarnation }, { signal: ends.signal })
    this.#lastCommand = offset
    switch (command.kind) {
      case 'run':
        return this.#queue(command, offset)
      case 'cancel':
        return this.#cancel(command)
      case 'approve':
        return this.#approve(command, offset)
      case 'reset':
        return this.#queueReset(command, offset)
      default:
        return command.kind satisfies never
    }
  }

  async #queue(command: Command, offset: number): Promise<void> {
    const { now } = this.deps
    const { id: runId, cause, scope } = command
    const { partitions } = this.ownership
    const run = queuedRun({ runId, cause, scope: scope ?? null, command: offset, partitions, at: now() })
    const queued = this.#queued
    if (queued === null) return this.#setQueued(run)
    const joined = joinQueued(queued, run)
    const cancelled = { ...run, status: 'cancelled', endedAt: now() } as const
    if (joined.kind === 'refused') return this.write({ ...cancelled, error: joined.why })
    // Asked for by itself, it is no longer what a cancel of the cut run ends, too.
    const isAnew = this.open !== null && isAnewOf(queued, this.open)
    const does = isAnew ? { ...joined.queued, command: offset } : joined.queued
    if (does !== queued) await this.#setQueued(does)
    const error = `run ${queued.runId} is queued already and will see the same rows`
    await this.write({ ...cancelled, error, errorCode: 'conflict' })
  }

  #isResetting(): boolean {
    return this.#queued?.cause === 'reset' || this.running?.state.cause === 'reset'
  }

  /**
   * Refused while a run is at work or queued; a held one is forgotten with all the rest. One that has just
   * ended, or is held as of now, may not have let go of its state yet: the reset is queued, and waits for
   * that.
   */
  async #queueReset(command: Command, offset: number): Promise<void> {
    const { now } = this.deps
    const { partitions } = this.ownership
    const at = now()
    const { id: runId } = command
    const reset = queuedRun({ runId, cause: 'reset', scope: null, command: offset, partitions, at })
    const running = this.running?.state ?? null
    const isDone = running === null || running.status === 'held' || isEnded(running.status)
    const busy = isDone ? this.#queued : running
    if (busy === null) return this.#setQueued(reset)
    // Nobody is at work on a run whose process is gone, so waiting would not help.
    const found =
      busy.runId === this.open?.runId && isInterrupted(this, busy)
        ? `run ${busy.runId} was cut off, and has not come to its end: finish it with \`sluice run ${this.sync}\``
        : `run ${busy.runId} is ${busy.status}: wait for its end`
    const error = `${found}, or end it with \`sluice cancel ${busy.runId}\``
    await this.write({ ...reset, status: 'failed', error, errorCode: 'usage', endedAt: at })
  }

  /**
   * Queues the held run that the command names. Where a newer one is queued already, that one takes its place
   * instead.
   */
  async #approve(command: Command, offset: number): Promise<void> {
    const held = this.#held
    if (held === null || held.runId !== command.run || this.#queued !== null) return
    this.#held = null
    await this.#setQueued(approvedRun(held, offset))
  }

  async #endHeld(held: RunState): Promise<void> {
    await this.write(cancelledRun(held, this.deps.now()))
  }

  /** Cancels the run that the command names, at work, queued or held. */
  async #cancel(command: Command): Promise<void> {
    const held = this.#held
    if (held !== null && held.runId === command.run) {
      this.#held = null
      await this.#endHeld(held)
    }
    const queued = this.#queued
    if (queued !== null && queued.runId === command.run) {
      this.#queued = null
      this.#anewCancelled ||= this.open !== null && isAnewOf(queued, this.open)
      await this.write(cancelledRun(queued, this.deps.now()))
    }
    const { running } = this
    if (running === null || running.state.runId !== command.run || running.state.cancelling) return
    running.state = { ...running.state, cancelling: true }
    running.cancel.abort(new SluiceError('aborted', 'the run was cancelled'))
    if (running.state.status === 'running') await this.write(running.state)
    await this.#cancelAnew(running.state)
  }
}

/** Somebody may have made a topic beforehand, or given one more partitions. */
async function assertAlike(
  sync: string,
  partitions: number,
  { log, prefix }: RunnerDeps,
  signal: AbortSignal,
): Promise<void> {
  const topics: readonly string[] = Object.values(syncTopics(prefix, sync))
  const counts = await Promise.all(topics.map(topic => log.partitionsOf(topic, { signal })))
  const other = counts.findIndex(count => count !== null && count !== partitions)
  if (other < 0) return
  const found = `the topic ${topics[other] ?? ''} has ${counts[other] ?? 0} partitions, that of changes ${partitions}`
  const remedy = `all topics of a sync need as many: delete it if nothing was delivered yet, or \`sluice reset ${sync}\``
  throw new SluiceError('conflict', `${found}; ${remedy}`)
}

/** The user's topics come with the first run. */
async function makeTopics(sync: string, deps: RunnerDeps, signal: AbortSignal): Promise<number> {
  const { partitions } = (await deps.resolveDefinition(sync, signal)).sync
  await deps.log.ensureTopics(syncTopicSpecs(deps.prefix, sync, partitions), { signal })
  return partitions
}
