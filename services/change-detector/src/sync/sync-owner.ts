/**
 * This process as the owner of one sync: from the takeover of its partitions until there is nothing more to
 * do, or a failure ends it. The machine of `libs/runs` decides what happens to the sync's runs. The owner
 * gives the machine facts, and carries out what it says.
 */
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { Command } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import { findRuns } from '@sluice/runs/machine/find-runs'
import { withoutDeath } from '@sluice/runs/machine/deaths'
import type { RunState } from '@sluice/runs/machine/run-events'
import { step } from '@sluice/runs/machine/step'
import type { Fact, Step, SyncLife } from '@sluice/runs/machine/sync-life'
import { isResetting } from '@sluice/runs/machine/take-command'
import { isFired } from '@sluice/runs/machine/take-due'
import { incarnationOf, knownIncarnation } from '@sluice/resources/incarnations'
import { assertAllKept } from '@sluice/partition/kept-topics'
import { homePartition, syncTopics, syncTopicSpecs } from '@sluice/topics/topics'
import { finishInterruptedRun } from '../run/await-reports.ts'
import type { OldRuns, IdleFindings, OwnedSync } from './owned-sync.ts'
import { PendingDue } from './pending-due.ts'
import { RunExecution } from '../run/run-execution.ts'
import { traceRun } from '../run/run-spans.ts'
import { ownSync, type SyncOwnership } from './own-sync.ts'
import { endInterruptedReset, resetSync } from './reset-sync.ts'
import { endingAlso, type Ends } from '@sluice/flow/ends'
import type { RunnerDeps } from './runner-deps.ts'

export interface WaitingCommand {
  readonly command: Command
  readonly offset: number
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

type OwnerOptions = Pick<OwnedSync, 'ends' | 'startedHere' | 'oldRuns'> & {
  /** Called for each run that has ended or awaits approval, unless another run takes its place. */
  readonly onEnd: () => void
}

export class SyncOwner implements OwnedSync, AsyncDisposable {
  readonly sync: string
  readonly deps: RunnerDeps
  readonly ownership: SyncOwnership
  readonly ends: Ends
  readonly startedHere: Set<string>
  readonly oldRuns: OldRuns
  lastIdle: IdleFindings | null = null
  heard: readonly number[] | null = null
  readonly #onEnd: () => void
  readonly #failed = new AbortController()
  readonly #changes = new Notifier()
  #life: SyncLife
  /** Cancels the run at work. */
  #cancel = new AbortController()
  #asked = new AbortController()
  #edited = new AbortController()
  /** Called once the run at work has its definition. */
  #onBegun = (): void => undefined
  /** True once a run is queued that replaces the run at work. */
  #isReplaced = false

  private constructor(
    deps: RunnerDeps,
    ownership: SyncOwnership,
    { ends, startedHere, oldRuns, onEnd }: OwnerOptions,
    found: SyncLife,
  ) {
    this.sync = ownership.sync
    this.deps = deps
    this.ownership = ownership
    this.startedHere = startedHere
    this.oldRuns = oldRuns
    this.#onEnd = onEnd
    this.ends = endingAlso(ends, this.#failed.signal)
    const isOwn = found.atWork !== null && startedHere.has(found.atWork.run.runId)
    const life = isOwn ? withoutDeath(found) : found
    const isProcessGone = deps.isOneProcess && !isOwn
    this.#life = { ...life, atWork: life.atWork && { ...life.atWork, isProcessGone } }
  }

  get life(): SyncLife {
    return this.#life
  }

  get asked(): AbortSignal {
    return this.#asked.signal
  }

  get edited(): AbortSignal {
    return this.#edited.signal
  }

  /**
   * Takes the sync over. Rejects with `not-found` if the sync does not exist, and with `fenced` if this
   * process has lost it meanwhile.
   */
  static async begin(
    sync: string,
    deps: RunnerDeps,
    options: OwnerOptions & { readonly isMember: () => Promise<boolean> },
  ): Promise<SyncOwner> {
    const { log, runs, prefix } = deps
    const { drain: signal } = options.ends
    const known = await knownIncarnation(deps, sync, { signal })
    if (known === null) {
      // The sync may have been deleted, and the end of its reset may be missing.
      await runs.caughtUp(homePartition(sync), { signal })
      await endInterruptedReset(deps, runs.of(sync), { incarnation: '', signal })
      // A command to an unknown sync leaves nothing behind.
      await deps.resolveDefinition(sync, signal)
    }
    const incarnation = known ?? (await incarnationOf(deps, sync, { signal }))
    await runs.caughtUp(homePartition(sync), { signal })
    runs.assertReadable(sync)
    await assertAllKept(deps, { sync, incarnation }, { signal })
    const existing = await log.partitionsOf(syncTopics(prefix, sync).changes, { signal })
    const partitions = existing ?? (await makeTopics(sync, deps, signal))
    await assertAlike(sync, partitions, deps, signal)
    const ownership = await ownSync(deps, { sync, incarnation, partitions, signal })
    deps.stageMetrics?.takenOver('changes', sync)
    try {
      if (!(await options.isMember()))
        throw new SluiceError('fenced', `${sync} belongs to another detector now`, { retryable: true })
      await runs.caughtUp(homePartition(sync), { signal })
      const before = deps.runs.of(sync)
      await endInterruptedReset(deps, before, { incarnation, signal })
      const own = before?.incarnation === incarnation ? before : undefined
      const found = findRuns(own, sync, await ownership.tails(signal))
      // Commands from before the sync existed have failed, and are not to be carried out now.
      const failed = before?.incarnation === '' ? [...before.events.values()].map(event => event.command) : []
      const lastCommand = Math.max(found.lastCommand, ...failed)
      return new SyncOwner(deps, ownership, options, { ...found, lastCommand })
    } catch (error) {
      await ownership[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Makes the owner look at the commands that wait. */
  look(): void {
    this.#changes.notify()
  }

  /**
   * Takes the waiting commands and carries out runs until no command and no run is left. Rejects with a
   * failure that another takeover mends.
   */
  async work(waiting: WaitingCommand[], due = new PendingDue()): Promise<void> {
    // Earlier commands come first: one may cancel a run that is taken up again.
    await this.#takeAll(waiting)
    await this.#takeDue(due)
    const idle = new AbortController()
    const fail = (error: unknown): void => this.#failed.abort(error)
    const accepting = this.#accept(waiting, due, idle.signal).catch(fail)
    const running = this.#runAll(waiting, due)
      .catch(fail)
      .finally(() => idle.abort())
    await Promise.all([accepting, running])
    if (this.#failed.signal.aborted) throw this.#failed.signal.reason
  }

  async step(fact: Fact): Promise<Step> {
    const done = step(this.#life, fact)
    this.#life = done.life
    if (this.#life.queued.length > 0) this.#asked.abort(new SluiceError('aborted', 'a run is queued'))
    if (done.stops) this.#cancel.abort(new SluiceError('aborted', 'the run was cancelled'))
    // The log keeps the order of the calls, so the events of one step stay together.
    await Promise.all(done.events.map(event => this.#write(event)))
    if (fact.kind === 'begun') this.#onBegun()
    if (fact.kind === 'replaced') this.#isReplaced = true
    if (done.next === 'release' && !this.#isReplaced) this.#onEnd()
    return done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#letGo()
    await this.ownership[Symbol.asyncDispose]()
  }

  /** Takes back the death that the run at work counts, if this process stops in good order. */
  async #letGo(): Promise<void> {
    const { drain, abort } = this.ends
    const { atWork } = this.#life
    const isInterrupted = atWork?.phase === 'detecting' || atWork?.phase === 'publishing'
    if (!isInterrupted || !drain.aborted || abort.aborted) return
    const { events } = step(this.#life, { kind: 'let-go' })
    const written = events.map(event => this.ownership.writeEvent(event, abort))
    await Promise.all(written).catch(() => undefined)
  }

  async #write(run: RunState): Promise<void> {
    await this.ownership.writeEvent(run, this.ends.drain)
    if (!isEnded(run.status)) return
    this.startedHere.delete(run.runId)
    const { runId, status, error, startedAt, endedAt } = run
    const ms = startedAt === null || endedAt === null ? null : endedAt - startedAt
    this.deps.stageMetrics?.ended(this.sync, status, ms)
    traceRun(this.deps.traces, this.sync, run)
    this.deps.logger.info({ sync: this.sync, run: runId, status, error }, 'the run has ended')
  }

  async #runAll(waiting: readonly WaitingCommand[], due: PendingDue): Promise<void> {
    await finishInterruptedRun(this)
    for (;;) {
      const seen = this.#changes.version
      await this.#takeDue(due)
      this.#cancel = new AbortController()
      this.#asked = new AbortController()
      this.#edited = new AbortController()
      this.heard = null
      this.#isReplaced = false
      const { next, life } = await this.step({ kind: 'idle', at: this.deps.now() })
      const run = life.atWork?.run
      if (run !== undefined && next === 'reset') return await resetSync(this, run)
      if (run !== undefined) {
        this.startedHere.add(run.runId)
        await this.#carryOut()
        await this.step({ kind: 'released' })
      } else if (waiting.length > 0) await this.#changes.after(seen, { signal: this.ends.drain })
      else {
        const keepsForMs = due.keepsForMs(this.deps.now())
        if (keepsForMs === 0) return
        await this.#waitFor(keepsForMs, seen)
      }
      this.ends.drain.throwIfAborted()
    }
  }

  async #carryOut(): Promise<void> {
    const over = new AbortController()
    const signal = AbortSignal.any([this.ends.drain, over.signal])
    // An edit while the definition is being resolved may be missing in it.
    const seen = this.deps.edits?.version ?? 0
    const begun = Promise.withResolvers<void>()
    this.#onBegun = begun.resolve
    const watching = begun.promise.then(() => this.#watchEdits(seen, signal))
    try {
      await new RunExecution(this, this.#cancel.signal).carryOut()
    } finally {
      over.abort(new SluiceError('aborted', 'the run has ended'))
      begun.resolve()
      await watching
    }
  }

  /** Asks the run to end once its definition is another one, or cannot be resolved any more. */
  async #watchEdits(seen: number, signal: AbortSignal): Promise<void> {
    const { edits, definitions, resolveDefinition } = this.deps
    if (edits === undefined) return
    for (let version = seen; !signal.aborted;) {
      await edits.after(version, { signal }).catch(() => undefined)
      if (signal.aborted) return
      version = edits.version
      try {
        const hash = await definitions.put(await resolveDefinition(this.sync, signal), { signal })
        if (hash === this.#life.atWork?.run.definition) continue
      } catch (error) {
        if (signal.aborted) return
        if (isSluiceError(error) && error.retryable) continue
      }
      this.#edited.abort(new SluiceError('aborted', 'the sync was edited'))
      return
    }
  }

  /** Waits for this time, or until something else is to be done. */
  async #waitFor(ms: number, seen: number): Promise<void> {
    const over = new AbortController()
    const waits = { signal: AbortSignal.any([this.ends.drain, over.signal]) }
    const changed = this.#changes.after(seen, waits).catch(() => undefined)
    await Promise.race([sleep(ms, waits), changed]).catch(() => undefined)
    over.abort(new Error('it is looked at again'))
    await changed
  }

  async #accept(waiting: WaitingCommand[], due: PendingDue, idle: AbortSignal): Promise<void> {
    const stopping = AbortSignal.any([idle, this.ends.drain])
    while (!stopping.aborted && !isResetting(this.#life)) {
      const seen = this.#changes.version
      await this.#takeAll(waiting)
      await this.#takeDue(due)
      await this.#changes.after(seen, { signal: stopping }).catch(() => undefined)
    }
  }

  /** Takes the commands that wait. Those after a reset are for the next owner, in the new incarnation. */
  async #takeAll(waiting: WaitingCommand[]): Promise<void> {
    for (let next = waiting[0]; next !== undefined && !isResetting(this.#life); next = waiting[0]) {
      await this.#take(next.command, next.offset)
      waiting.shift()
      next.resolve()
      this.#changes.notify()
    }
  }

  /** Takes an instant of the schedule. During a reset the instant is left to the next incarnation. */
  async #takeDue(pending: PendingDue): Promise<void> {
    const { fired } = pending
    if (fired === null) return
    const { deps, ownership } = this
    const { partitions } = ownership
    const due = { kind: 'due', fired, runId: deps.newRunId(), partitions, at: deps.now() } as const
    const { events } = await this.step(due)
    if (!isFired(this.#life, due)) return
    pending.done(fired)
    if (events.length > 0) this.#changes.notify()
  }

  async #take(command: Command, offset: number): Promise<void> {
    const { sync, ownership, ends } = this
    const { incarnation, partitions } = ownership
    if (offset <= this.#life.lastCommand) return
    // If a topic is lost, no stage reports any more. The run at work, and the runs behind it, would never
    // end.
    if (this.#life.atWork !== null)
      await assertAllKept(this.deps, { sync, incarnation }, { signal: ends.drain })
    const { heard, deps } = this
    await this.step({ kind: 'asked', command, offset, incarnation, partitions, heard, at: deps.now() })
  }
}

/**
 * Throws `conflict` unless all topics have the same number of partitions. Somebody may have made a topic
 * beforehand, or added a partition to one.
 */
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
  const found = `the topic ${topics[other] ?? ''} has ${counts[other] ?? 0} partitions, the topic of changes has ${partitions}`
  const remedy = `all topics of a sync need the same number: delete it if nothing was delivered yet, or \`sluice reset ${sync}\``
  throw new SluiceError('conflict', `${found}; ${remedy}`)
}

/** Makes the sync's topics before its first run. Resolves with their number of partitions. */
async function makeTopics(sync: string, deps: RunnerDeps, signal: AbortSignal): Promise<number> {
  const { partitions } = (await deps.resolveDefinition(sync, signal)).sync
  await deps.log.ensureTopics(syncTopicSpecs(deps.prefix, sync, partitions), { signal })
  return partitions
}
