/**
 * Runs one sync: one run at a time, at most one more queued (R13). It owns the sync from the first thing to
 * do until there is nothing more to do.
 *
 * States: unowned → (take over: adopt a published run, or seal one that was cut) → idle ⇄ running → unowned.
 */
import { join } from 'node:path'
import { changeSchema } from '@sluice/contracts/avro-schemas'
import { SluiceError, isSluiceError } from '@sluice/contracts/errors'
import type { Command, RunBegin } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { detectedRows } from '@sluice/domain/counts'
import { isEnded } from '@sluice/domain/run-status'
import type { DeliveredState } from '@sluice/delivered-state/port'
import type { MessageLog } from '@sluice/message-log/port'
import type { Logger } from '@sluice/runtime/logger'
import type { Source } from '@sluice/sources/port'
import { isSetback } from '@sluice/stage/own-partitions'
import { incarnationOf } from '@sluice/stage/incarnations'
import type { RecordIo } from '@sluice/stage/record-io'
import type { RunsView } from '@sluice/stage/runs-view'
import type { Definitions } from '@sluice/stage/stored-documents'
import { homePartition, syncTopics, syncTopicSpecs } from '@sluice/stage/topics'
import { blockRowsOf } from './assign-partitions.ts'
import { detectChanges } from './detect-changes.ts'
import { feedState } from './feed-state.ts'
import { ownSync, type PartitionTail, type SyncOwnership } from './own-sync.ts'
import { appendMarker, publishChanges } from './publish-changes.ts'
import { endedRun, failedRun, INTERRUPTED, queuedRun, type RunState } from './run-events.ts'

export interface RunnerDeps {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly runs: RunsView
  readonly definitions: Definitions
  readonly prefix: string
  readonly dataDir: string
  /** The sync's definition as the resources have it now. Rejects with `not-found`. */
  readonly resolveDefinition: (sync: string, signal: AbortSignal) => Promise<Definition>
  readonly openSource: (definition: Definition) => Promise<Source>
  readonly openState: (of: {
    readonly sync: string
    readonly incarnation: string
    readonly partitions: number
  }) => Promise<DeliveredState>
  readonly newRunId: () => string
  /**
   * True where one process does everything: then a run that an earlier process left was interrupted, even if
   * all its changes were published. What was published is delivered all the same.
   */
  readonly adoptedAreInterrupted: boolean
  readonly now: () => number
  readonly logger: Logger
}

export class SyncRunner {
  readonly sync: string
  readonly #deps: RunnerDeps
  readonly #signal: AbortSignal
  readonly #publishing: AbortSignal
  #ownership: SyncOwnership | null = null
  #owning: Promise<void> | null = null
  /** A run that an earlier owner left, to be adopted or sealed before another starts. */
  #open: RunState | null = null
  #lastRun = 0
  /** True if the last run was the sync's first and was cut: the next is first again. */
  #first = true
  #queued: RunState | null = null
  #running: { state: RunState; readonly cancel: AbortController } | null = null

  /**
   * `signal` ends all work, but a run that is being published is published to its end, for a successor to
   * adopt; `publishing` ends that, too.
   */
  constructor(
    sync: string,
    deps: RunnerDeps,
    ends: { readonly signal: AbortSignal; readonly publishing: AbortSignal },
  ) {
    this.sync = sync
    this.#deps = deps
    this.#signal = ends.signal
    this.#publishing = ends.publishing
  }

  get hasWork(): boolean {
    return this.#queued !== null || this.#running !== null || this.#open !== null
  }

  /** Takes the sync over, unless it is owned, and finds what an earlier detector left open. */
  own(): Promise<void> {
    this.#owning ??= this.#takeOver().catch((error: unknown) => {
      this.#owning = null
      throw error
    })
    return this.#owning
  }

  async #takeOver(): Promise<void> {
    const { log, runs, prefix } = this.#deps
    const signal = this.#signal
    const incarnation = await incarnationOf(this.#deps, this.sync, { signal })
    const existing = await log.partitionsOf(syncTopics(prefix, this.sync).changes, { signal })
    const partitions = existing ?? (await this.#makeTopics())
    const ownership = await ownSync(this.#deps, { sync: this.sync, incarnation, partitions, signal })
    try {
      await runs.caughtUp(homePartition(this.sync), { signal })
      this.#restore(await ownership.tails(signal))
      this.#ownership = ownership
    } catch (error) {
      await ownership[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Gives the sync up; another detector, or this one, may own it again. */
  async disown(): Promise<void> {
    const ownership = this.#ownership
    this.#ownership = null
    this.#owning = null
    this.#open = null
    await ownership?.[Symbol.asyncDispose]()
  }

  /**
   * Takes a command. Resolves once its effect on `runs` is acknowledged, so that its offset may be committed.
   */
  async accept(command: Command, offset: number): Promise<void> {
    await this.own()
    if (offset <= this.#lastCommand()) return
    if (command.kind === 'cancel') return this.#cancel(command)
    const run = queuedRun({
      runId: command.id,
      cause: command.cause,
      command: offset,
      partitions: this.#owned().partitions,
      at: this.#deps.now(),
    })
    if (this.#queued === null) {
      this.#queued = run
      await this.#write(run)
      return
    }
    const error = `run ${this.#queued.runId} is queued already and will see the same rows`
    const endedAt = this.#deps.now()
    await this.#write({ ...run, status: 'cancelled', error, errorCode: 'conflict', endedAt })
  }

  /** Runs what is queued until nothing is left. Rejects where another takeover is the remedy. */
  async work(): Promise<void> {
    await this.own()
    await this.#finishOpenRun()
    while (this.#queued !== null && !this.#signal.aborted) {
      const run = this.#queued
      this.#queued = null
      this.#running = { state: run, cancel: new AbortController() }
      await this.#execute(run)
      this.#running = null
    }
  }

  /** The user's topics and partitions come with the first run. */
  async #makeTopics(): Promise<number> {
    const { log, prefix } = this.#deps
    const signal = this.#signal
    const { sync } = await this.#deps.resolveDefinition(this.sync, signal)
    await log.ensureTopics(syncTopicSpecs(prefix, this.sync, sync.partitions), { signal })
    return sync.partitions
  }

  #restore(tails: readonly PartitionTail[]): void {
    const events = [...(this.#deps.runs.of(this.sync)?.events.values() ?? [])]
    this.#lastRun = Math.max(0, ...tails.map(tail => tail.run), ...events.map(event => event.run ?? 0))
    const last = tails.filter(tail => tail.run > 0)
    const cutFirst = last.some(tail => tail.begin?.first === true && tail.sealed)
    this.#first = last.length === 0 || cutFirst
    this.#queued = events.find(event => event.status === 'queued') ?? null
    const cut = tails.find(tail => !tail.ended)
    const open = events.find(
      event => event.status === 'running' || (cut !== undefined && event.run === cut.run),
    )
    if (open === undefined && cut !== undefined)
      throw new SluiceError(
        'corrupt',
        `run ${cut.run} of ${this.sync} is open, and nothing on the runs topic tells of it`,
      )
    this.#open = open ?? null
    this.#running = this.#open === null ? null : { state: this.#open, cancel: new AbortController() }
  }

  #lastCommand(): number {
    const events = this.#deps.runs.of(this.sync)?.events.values() ?? []
    const known = [...events].map(event => event.command)
    return Math.max(-1, ...known, this.#queued?.command ?? -1, this.#running?.state.command ?? -1)
  }

  /**
   * Adopts a run whose changes are all published; seals one that was cut, and lets a new one start from the
   * true state (PROTOCOL.md §6).
   */
  async #finishOpenRun(): Promise<void> {
    const open = this.#open
    if (open === null) return
    const tails = await this.#owned().tails(this.#signal)
    const written = tails.filter(tail => tail.run === open.run)
    let sealed = this.#deps.adoptedAreInterrupted || written.some(tail => tail.sealed)
    if (written.length === 0) {
      const error = new SluiceError('internal', INTERRUPTED)
      await this.#write(failedRun(this.#current(open), error, this.#deps.now()))
      sealed = true
    } else {
      // Renderer and delivery work on runs that the topic says are running.
      if (open.status !== 'running') await this.#write({ ...open, status: 'running', endedAt: null })
      const cut = written.length < tails.length || written.some(tail => !tail.ended)
      if (cut) await this.#seal(open, tails)
      sealed ||= cut
      await this.#awaitReports(open, sealed)
    }
    const { cancelling } = this.#current(open)
    this.#open = null
    this.#running = null
    if (sealed && !cancelling && open.error === null) this.#queued ??= await this.#queueAnew(open)
  }

  async #queueAnew(cut: RunState): Promise<RunState> {
    const { newRunId, now } = this.#deps
    const { cause, command, partitions } = cut
    const run = queuedRun({ runId: newRunId(), cause, command, partitions, at: now() })
    await this.#write(run)
    return run
  }

  async #seal(open: RunState, tails: readonly PartitionTail[]): Promise<void> {
    const ownership = this.#owned()
    const options = { io: this.#deps.io, ownership, signal: this.#signal }
    const known = tails.find(tail => tail.run === open.run && tail.begin !== null)?.begin
    const begin = known ?? this.#beginOf(open)
    for (const [partition, tail] of tails.entries()) {
      const begun = tail.run === open.run
      if (begun && tail.ended) continue
      if (!begun) await appendMarker(options, partition, 'run-begin', { begin })
      const count = begun ? tail.count : 0
      await appendMarker(options, partition, 'run-end', { begin, count, sealed: true })
    }
  }

  #beginOf(run: RunState): RunBegin {
    const { definition, startedAt, runId } = run
    if (run.run === null || definition === null || startedAt === null)
      throw new SluiceError('internal', `run ${runId} has no number or definition yet`)
    return { run: run.run, runId, definition, startedAt, first: this.#first }
  }

  async #execute(queued: RunState): Promise<void> {
    const { now } = this.#deps
    this.#lastRun += 1
    let run: RunState = { ...queued, status: 'running', run: this.#lastRun, startedAt: now() }
    const cancel = this.#running?.cancel.signal ?? this.#signal
    let outcome: { readonly run: RunState; readonly sealed: boolean } | null
    try {
      const definition = await this.#deps.resolveDefinition(this.sync, this.#signal)
      run = { ...run, definition: await this.#deps.definitions.put(definition, { signal: this.#signal }) }
      await this.#write(run)
      outcome = await this.#detectAndPublish(run, definition, cancel)
    } catch (error) {
      if (this.#signal.aborted || (!cancel.aborted && !endsRun(error))) throw error
      const failed = failedRun(this.#running?.state ?? run, error, now())
      await this.#write(
        cancel.aborted ? { ...failed, status: 'cancelled', error: null, errorCode: null } : failed,
      )
      return
    }
    if (outcome !== null) await this.#awaitReports(outcome.run, outcome.sealed)
  }

  /** Null where nothing had to be published; the run has ended then. */
  async #detectAndPublish(
    started: RunState,
    definition: Definition,
    cancel: AbortSignal,
  ): Promise<{ readonly run: RunState; readonly sealed: boolean } | null> {
    const { io, dataDir, now, logger } = this.#deps
    const ownership = this.#owned()
    const { sync, incarnation, partitions, topics } = ownership
    using beforePublishing = following(this.#signal)
    const stopping = AbortSignal.any([beforePublishing.signal, this.#publishing, cancel])
    await using state = await this.#deps.openState({ sync, incarnation, partitions })
    const onRebuild = (why: string): void =>
      logger.info({ sync, why }, 'the delivered state is built anew from its topics')
    await feedState(state, { ...this.#deps, topics, partitions, incarnation, onRebuild, signal: stopping })
    await using source = await this.#deps.openSource(definition)
    const extractFile = join(dataDir, 'tmp', `${sync}.${incarnation}.${started.runId}.duckdb`)
    const baseline = this.#first && definition.sync.firstRun === 'skip-existing'
    const detecting = { state, source, definition, extractFile, baseline, signal: stopping }
    await using detected = await detectChanges(detecting)
    const { rowsRead, rowsInvalid, invalidSamples, counts, settled } = detected.diff
    const run = { ...this.#current(started), rowsRead, rowsInvalid, invalidSamples, counts }
    this.#track(run)
    if (detectedRows(counts) === 0 && settled === 0) {
      this.#first = false
      await this.#write(endedRun(run, [], { sealed: false, at: now() }))
      return null
    }
    const schema = changeSchema(detected.columns)
    const encoder = await io.changeEncoder({ sync, incarnation, schema }, { signal: stopping })
    await this.#write(run)
    const begin = this.#beginOf(run)
    this.#signal.throwIfAborted()
    beforePublishing[Symbol.dispose]()
    const blockRows = blockRowsOf(definition.sync)
    const publishing = { io, ownership, begin, encoder, blockRows, cancel, signal: this.#publishing }
    const complete = await publishChanges(detected.diff, publishing).catch((error: unknown) =>
      this.#leaveToSealing(run, error),
    )
    if (complete) this.#first = false
    return { run, sealed: !complete }
  }

  /**
   * What is published in part is ended by a takeover from oneself, which reads what is there and seals it.
   */
  async #leaveToSealing(run: RunState, error: unknown): Promise<never> {
    if (isSetback(error) || this.#signal.aborted) throw error
    const { message } = error instanceof Error ? error : new Error(String(error))
    const errorCode = isSluiceError(error) ? error.code : 'internal'
    await this.#write({ ...run, error: message, errorCode })
    throw new SluiceError('writer-dead', 'the run is to be sealed', { cause: error, retryable: true })
  }

  /** Waits until delivery has reported every partition, and ends the run. */
  async #awaitReports(started: RunState, sealed: boolean): Promise<void> {
    const { runs, now } = this.#deps
    const { partitions } = this.#owned()
    const reported = (): boolean => {
      const reports = [...(runs.of(this.sync)?.reports.values() ?? [])]
      return reports.filter(report => report.run === started.run && report.ended).length >= partitions
    }
    await runs.until(reported, { signal: this.#signal })
    const reports = [...(runs.of(this.sync)?.reports.values() ?? [])]
    await this.#write(endedRun(this.#current(started), reports, { sealed, at: now() }))
  }

  /** Cancels the running run, or the queued one, that the command names. */
  async #cancel(command: Command): Promise<void> {
    const { now } = this.#deps
    if (this.#queued !== null && this.#queued.runId === command.run) {
      const queued = this.#queued
      this.#queued = null
      await this.#write({ ...queued, status: 'cancelled', cancelling: true, endedAt: now() })
    }
    const running = this.#running
    if (running === null || running.state.runId !== command.run || running.state.cancelling) return
    this.#track({ ...running.state, cancelling: true })
    running.cancel.abort(new SluiceError('aborted', 'the run was cancelled'))
    if (running.state.status === 'running') await this.#write(running.state)
  }

  /** The state as the latest event has it, should a cancel have come meanwhile. */
  #current(run: RunState): RunState {
    return { ...run, cancelling: this.#running?.state.cancelling ?? run.cancelling }
  }

  #track(run: RunState): void {
    if (this.#running !== null) this.#running.state = run
  }

  async #write(run: RunState): Promise<void> {
    if (this.#running?.state.runId === run.runId) this.#track(run)
    await this.#owned().writeEvent(run, this.#signal)
    if (isEnded(run.status)) {
      const { status, error } = run
      this.#deps.logger.info({ sync: this.sync, run: run.runId, status, error }, 'the run has ended')
    }
  }

  #owned(): SyncOwnership {
    if (this.#ownership === null) throw new SluiceError('internal', `${this.sync} is not owned`)
    return this.#ownership
  }
}

/** A signal that aborts with another, until it is disposed. */
function following(signal: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const follower = new AbortController()
  const onAbort = (): void => follower.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  return {
    signal: follower.signal,
    [Symbol.dispose]: () => signal.removeEventListener('abort', onAbort),
  }
}

/** Errors that fail the run and leave the sync as it is; others end the ownership or the process. */
function endsRun(error: unknown): boolean {
  if (!isSluiceError(error)) return false
  return !['fenced', 'writer-dead', 'internal', 'offset-out-of-range'].includes(error.code)
}
