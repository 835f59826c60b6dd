/**
 * One run of a sync: read the model, bring the state up to date, publish what changed, and wait for delivery
 * (PROTOCOL.md §6).
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { changeSchema } from '@sluice/contracts/avro/schemas'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { DeliveredTo, HeldRemovals, Restoring } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { OPS, type ReplayScope } from '@sluice/contracts/state'
import { countsOf, detectedRows } from '@sluice/domain/counts'
import { changedDestination, deliveredTo } from '@sluice/domain/held/delivered-to'
import { needsApproval } from '@sluice/domain/held/removal-guard'
import { isStream, triggeredOps } from '@sluice/domain/definition'
import type { DeliveredState, Diff, FedFor } from '@sluice/delivered-state/port'
import { concernOf } from '@sluice/partition/failures'
import { makeFolder } from '@sluice/runtime/make-folder'
import { blockRowsOf } from '../publish/assign-partitions.ts'
import { awaitReports, beginOf } from './await-reports.ts'
import { detectChanges, type Detected } from '../detect/detect-changes.ts'
import { endGone, publishChanges } from '../publish/publish-changes.ts'
import { feedState, type FeedOptions } from '../detect/feed-state.ts'
import { planReplay, type ReplayPlan } from '../detect/plan-replay.ts'
import { readModel } from '../detect/read-model.ts'
import { forgetRuns } from './forget-runs.ts'
import { noticesOf } from './notices.ts'
import { isSuspendedByDeaths } from '@sluice/runs/machine/deaths'
import { askedBy, purposeOf, type RunState } from '@sluice/runs/machine/run-events'
import type { AtWork, Fact, Next, SyncLife } from '@sluice/runs/machine/sync-life'
import { at } from '@sluice/topics/topics'
import { RestoringReporter } from './report-restoring.ts'
import type { Detection, OwnedSync } from '../sync/owned-sync.ts'
import { releaseFormerStream } from '../stream/release-stream.ts'
import { executeStream } from '../stream/stream-execution.ts'

/** A run of the schedule trusts the findings of an earlier run for up to this time. */
const MAX_IDLE_AGE_MS = 3_600_000
/** Reading fewer rows from their topic takes less time than keeping them in the state. */
const KEPT_ROWS = 1_000
/** The reason why the state of a sync that has run before is empty. */
const NO_CACHE = 'there is no cache of it here'

/** The scope of a replay without limits. */
const ANY: ReplayScope = {
  ...{ keys: null, run: null, since: null, until: null, status: null, outcome: null, trigger: null },
}

export class RunExecution {
  readonly #owned: OwnedSync
  /** Aborts when the run is cancelled. */
  readonly #cancel: AbortSignal

  constructor(owned: OwnedSync, cancel: AbortSignal) {
    this.#owned = owned
    this.#cancel = cancel
  }

  /**
   * Resolves once the run has ended or awaits approval. Rejects if another takeover has to go on with the
   * run: with a transient failure, or when `drain` aborts.
   */
  async carryOut(): Promise<void> {
    const owned = this.#owned
    const { deps, ends } = owned
    try {
      // A run waits before it begins, since the event that it begins with counts a death beforehand.
      using _alone = isSuspendedByDeaths(owned.life)
        ? await deps.runsAfterDeaths?.take({ signal: this.#waits })
        : undefined
      // A process compares a few syncs at once. Until its turn comes, the run's status stays `queued`.
      const turn = await deps.detections?.take({ signal: this.#waits })
      const { next, toApprove } = await this.#comparing(turn)
      // The run's files are closed by now. So a reader that sees the end may remove them, and no failure to
      // close them can follow the end.
      if (next === 'await-reports') await awaitReports(owned)
      else if (next === 'end') {
        await forgetRuns(owned)
        await owned.step({ kind: 'ended', endsBefore: [], at: deps.now() })
      } else if (toApprove !== null) {
        this.#waits.throwIfAborted()
        await owned.step({ kind: 'held', toApprove, at: deps.now() })
      }
    } catch (error) {
      if (ends.drain.aborted || this.#atWork.isWritten || isLogFailure(error)) throw error
      await this.#note(error, () => forgetRuns(owned))
    }
  }

  /**
   * Begins the run. Gives the turn to the next sync once this run is published or has nothing to publish. A
   * run over a stream gives it back at once, and takes another one if it compares a table.
   */
  async #comparing(turn: Disposable | undefined): Promise<Detection> {
    using _turn = turn
    const definition = await this.#begin()
    const { deps, sync } = this.#owned
    const { run } = this.#atWork
    await releaseFormerStream(deps, sync, { run, definition, signal: this.#waits })
    if (!isStream(definition.sync) || deps.streams === undefined)
      return await this.#detectAndPublish(definition)
    turn?.[Symbol.dispose]()
    return await executeStream(this.#owned, definition, {
      cancel: this.#cancel,
      reporter: () => this.#restoringReporter(),
      leaveToTakeover: error => this.#leaveToTakeover(error),
      extractFile: () => this.#extractFile(this.#owned.ownership.incarnation),
      assertFirstRunChosen: rows => assertFirstRunChosen(definition, rows),
    })
  }

  /**
   * Notes why the run has failed. If the writer of its events fails, too, the reason is thrown as a failure
   * of the sync, which ends the run. Otherwise another run would take the place of this one, and fail alike,
   * for ever. If the disk of the log is full, the process ends with that reason, and not with the writer's.
   */
  async #note(error: unknown, before = () => Promise.resolve()): Promise<void> {
    try {
      await before()
      await this.#owned.step({ kind: 'failed', error, at: this.#owned.deps.now() })
    } catch (notNoted) {
      const isOfDisk = isSluiceError(error, 'disk') && isSluiceError(notNoted, 'writer-dead')
      throw concernOf(error) === 'sync' || isOfDisk ? error : notNoted
    }
  }

  get #waits(): AbortSignal {
    return AbortSignal.any([this.#owned.ends.drain, this.#cancel])
  }

  get #atWork(): AtWork {
    const { atWork } = this.#owned.life
    if (atWork === null) throw new SluiceError('internal', 'a run is carried out, and none is at work')
    return atWork
  }

  async #begin(): Promise<Definition> {
    const { deps, sync, ends } = this.#owned
    const definition = await deps.resolveDefinition(sync, ends.drain)
    const hash = await deps.definitions.put(definition, { signal: ends.drain })
    await this.#owned.step({ kind: 'begun', definition: hash })
    const { runId, run } = this.#atWork.run
    deps.logger.info({ sync, run: runId, number: run }, 'the run has begun')
    return definition
  }

  /** Resolves with what is to be done next: await approval, await the reports, or end. */
  async #detectAndPublish(definition: Definition): Promise<Detection> {
    const owned = this.#owned
    const { deps, sync, ownership } = owned
    const { incarnation, partitions } = ownership
    // Until the first record is out, a drain or a cancel ends the run at once. From then on the run is ended
    // in good order.
    using deadline = deadlineOf(definition)
    const { drain, abort } = owned.ends
    using detecting = followingUntilDisposed(AbortSignal.any([drain, this.#cancel, deadline.signal]))
    const signal = AbortSignal.any([detecting.signal, abort])
    const ends = await this.#endsOfState(signal)
    const unchanged = this.#unchanged(definition, ends)
    if (unchanged !== null) return { next: (await owned.step(unchanged)).next, toApprove: null }
    let whyEmpty = NO_CACHE
    await using source = await deps.openSource(definition)
    const file = await this.#extractFile(incarnation)
    await using reading = readModel({ source, definition, file, signal })
    const onDiscard = (why: string): void => void (whyEmpty = `its cache cannot be used: ${why}`)
    await using state = await deps.openState({ sync, incarnation, partitions, onDiscard })
    const faults = await this.#feed(state, { whyEmpty, beforeRows: reading.over, signal })
    const { run } = this.#atWork
    const purpose = purposeOf(run)
    const baseline = purpose === undefined && run.first && definition.sync.firstRun === 'skip-existing'
    const isRetry = run.cause === 'retry'
    const replay = await this.#planReplay(definition, state, signal)
    const inputs = { state, reading, definition, baseline, purpose, isRetry, upTo: run.upTo, signal }
    const detected = await detectChanges(inputs)
    const { rowsRead, rowsInvalid, invalidSamples, counts, settled, undecided } = detected.diff
    if (purpose === undefined && run.first)
      assertFirstRunChosen(definition, countsOf(counts, 'added').detected)
    const notices = [...noticesOf(definition, detected.diff, purpose), ...(replay?.notices ?? [])]
    const runCounts = replay?.counts ?? counts
    const found = { rowsRead, rowsInvalid, invalidSamples, undecided, counts: runCounts, notices, faults }
    const to = deliveredTo(definition.destination)
    // A replay needs no approval, since it only repeats removals that were sent before.
    const removals = replay === null ? removalsToApprove(definition, run, detected.diff) : null
    const toApprove = destinationToApprove(owned.life, to, detected.diff) ?? removals
    const records = replay?.requests ?? detectedRows(counts) + settled
    const { next } = await owned.step({ kind: 'detected', found, records, toApprove, to })
    const { isUnchanged } = await reading.rows()
    const foundAll = purpose === undefined && rowsInvalid === 0 && undecided === 0 && faults.length === 0
    if (records === 0 && toApprove === null && foundAll && isUnchanged !== undefined) {
      const { definition: hash, run: number } = this.#atWork.run
      const findings = { definition: hash, ends, isModelUnchanged: isUnchanged, at: deps.now(), found }
      owned.lastIdle = { ...findings, run: number ?? 0 }
    }
    if (next === 'hold') signal.throwIfAborted()
    if (next !== 'publish') return { next, toApprove }
    await endGone(state, owned, signal)
    const published = await this.#publish(definition, { detected, replay }, detecting)
    if (published === 'await-reports' && replay === null && records >= KEPT_ROWS)
      await this.#keep(state, definition)
    return { next: published, toApprove: null }
  }

  /**
   * Returns the findings of the run before, if that run found nothing to do, the schedule started this run,
   * and neither the model nor the topics have changed since. Returns null if rows have to be compared.
   */
  #unchanged(definition: Definition, ends: string): Extract<Fact, { kind: 'detected' }> | null {
    const owned = this.#owned
    const { lastIdle } = owned
    owned.lastIdle = null
    const { run } = this.#atWork
    if (lastIdle === null || run.cause !== 'schedule' || run.run !== lastIdle.run + 1) return null
    const age = owned.deps.now() - lastIdle.at
    if (run.definition !== lastIdle.definition || run.faults.length > 0 || age < 0 || age > MAX_IDLE_AGE_MS)
      return null
    if (ends !== lastIdle.ends || !lastIdle.isModelUnchanged()) return null
    owned.lastIdle = { ...lastIdle, run: run.run }
    const to = deliveredTo(definition.destination)
    return { kind: 'detected', found: lastIdle.found, records: 0, toApprove: null, to }
  }

  /** Resolves with the ends of the topics that the delivered state follows from, as one text. */
  async #endsOfState(signal: AbortSignal): Promise<string> {
    const { deps, ownership } = this.#owned
    const { partitions, topics } = ownership
    const { changes, retry, captured } = topics
    const ends = [changes, retry, captured].flatMap(topic =>
      Array.from({ length: partitions }, async (_, partition) => {
        const { end } = await deps.log.offsets(at(topic, partition), { signal })
        return end
      }),
    )
    return (await Promise.all(ends)).join(' ')
  }

  /** Null for a run that is no replay. */
  async #planReplay(
    { sync: { name: sync }, sync: spec }: Definition,
    state: DeliveredState,
    signal: AbortSignal,
  ): Promise<ReplayPlan | null> {
    const { run } = this.#atWork
    const { cause, scope } = run
    if (cause !== 'replay') return null
    const command = askedBy(run)
    const { deps, ownership } = this.#owned
    const { incarnation, partitions } = ownership
    const recorded = { sync, incarnation, partitions }
    const triggers = triggeredOps(spec)
    const replay = scope?.replay ?? ANY
    return await planReplay({ ...deps, recorded, scope: replay, command, triggers, state, signal })
  }

  async #publish(
    definition: Definition,
    { detected, replay }: { readonly detected: Detected; readonly replay: ReplayPlan | null },
    detecting: Disposable,
  ): Promise<Next> {
    const owned = this.#owned
    const { deps, sync, ownership, ends } = owned
    const { incarnation } = ownership
    const { drain, abort } = ends
    const schema = changeSchema(detected.columns)
    const encoder = await deps.io.changeEncoder({ sync, incarnation, schema }, { signal: drain })
    await owned.step({ kind: 'prepared', at: deps.now() })
    this.#cancel.throwIfAborted()
    drain.throwIfAborted()
    detecting[Symbol.dispose]()
    await owned.step({ kind: 'publishing', at: deps.now() })
    const options = {
      io: deps.io,
      ownership,
      begin: { ...beginOf(this.#atWork.run), removalsFirst: detected.diff.removalsFirst },
      encoder,
      blockRows: blockRowsOf(definition.sync),
      cancel: this.#cancel,
      abort,
      ...(replay === null ? {} : { replayed: replay.recorded(abort) }),
    }
    const complete = await publishChanges(detected.diff, options).catch((error: unknown) =>
      this.#leaveToTakeover(error),
    )
    if (!complete) return (await owned.step({ kind: 'publishing-cancelled', at: deps.now() })).next
    const { counts } = this.#atWork.run
    for (const op of OPS) deps.stageMetrics?.published(sync, op, countsOf(counts, op).detected)
    // If this process drains, its successor writes that the run is published.
    drain.throwIfAborted()
    return (await owned.step({ kind: 'published', at: deps.now() })).next
  }

  /**
   * Has the state keep the rows that were published, so that the next run need not read them. The topics have
   * them, too. So a failure here fails no run, and a cancel does not wait for it.
   */
  async #keep(state: DeliveredState, { sync: spec, sync: { name: sync } }: Definition): Promise<void> {
    const { deps, ownership } = this.#owned
    const { partitions, topics } = ownership
    const { run, runId } = this.#atWork.run
    const signal = AbortSignal.any([this.#waits, this.#owned.ends.abort])
    if (run === null) return
    try {
      const ends: number[] = []
      for (let partition = 0; partition < partitions; partition += 1)
        ends.push((await deps.log.offsets(at(topics.changes, partition), { signal })).end)
      await state.keep({ run, runId, ends, blockRows: blockRowsOf(spec)('added'), signal })
    } catch (error) {
      deps.logger.info({ sync, run: runId, err: error }, 'the rows of the run are not kept')
    }
  }

  /**
   * Leaves a run that is published in part to another takeover by this process. That takeover reads what is
   * written, and writes the missing markers.
   */
  async #leaveToTakeover(error: unknown): Promise<never> {
    if (concernOf(error) === 'transient' || this.#owned.ends.drain.aborted) throw error
    await this.#note(error)
    throw new SluiceError('writer-dead', 'publishing has failed', { cause: error, retryable: true })
  }

  /**
   * Brings the state up to date, and resolves with the faults that still make a change unknown. A state that
   * turns out to be damaged is built again from the topics, once.
   */
  async #feed(
    state: DeliveredState,
    { whyEmpty, beforeRows, signal }: Required<Pick<FeedOptions, 'whyEmpty' | 'beforeRows' | 'signal'>>,
  ): Promise<RunState['faults']> {
    const { deps, ownership } = this.#owned
    const { incarnation, partitions, topics } = ownership
    const { faults, run, runId } = this.#atWork.run
    if (run === null) throw new SluiceError('internal', `run ${runId} has no number yet`)
    const fedFor = (): FedFor => ({ run, at: deps.now() })
    const options = { ...deps, topics, partitions, incarnation, faults, fedFor, beforeRows, signal }
    const feed = async (why: string | undefined): Promise<RunState['faults']> => {
      const reporter = this.#restoringReporter()
      const faultsLeft = await feedState(state, {
        ...options,
        onProgress: (progress: Restoring) => reporter.report(progress),
        ...(why === undefined ? {} : { whyEmpty: why }),
      })
      await reporter.end()
      return faultsLeft
    }
    try {
      // Before the first run there is no cache that could be missing.
      return await feed(run === 1 ? undefined : whyEmpty)
    } catch (error) {
      if (!isSluiceError(error, 'corrupt')) throw error
      await state.reset()
      return await feed(error.message)
    } finally {
      await this.#owned.step({ kind: 'restored' })
    }
  }

  #restoringReporter(): RestoringReporter {
    const { deps, sync } = this.#owned
    const { logger, steadyNow = () => performance.now() } = deps
    const write = async (restoring: Restoring | null): Promise<void> => {
      await this.#owned.step({ kind: 'restoring', restoring })
    }
    return new RestoringReporter({ sync, logger, steadyNow, write })
  }

  /**
   * Resolves with the path of the file for the model's result. Removes files that killed runs of the sync
   * left there, and creates the folder again if somebody has deleted it.
   */
  async #extractFile(incarnation: string): Promise<string> {
    const { deps, sync } = this.#owned
    const folder = join(deps.dataDir, 'tmp')
    makeFolder(folder)
    const prefix = `${sync}.${incarnation}.`
    for (const name of await readdir(folder))
      if (name.startsWith(prefix)) await rm(join(folder, name), { recursive: true, force: true })
    return join(folder, `${prefix}${this.#atWork.run.runId}.duckdb`)
  }
}

/** Returns the change of destination to approve, if the delivered state is of another one; else null. */
function destinationToApprove(
  { deliveredTo: from }: SyncLife,
  to: DeliveredTo,
  { counts, keysBefore: rows }: Diff,
): HeldRemovals | null {
  const destination = changedDestination(from, to, rows)
  const { detected: removed } = countsOf(counts, 'removed')
  return destination === null ? null : { removed, rows, samples: [], destination }
}

/** Returns the removals that the removal guard wants somebody to approve; null if the run may go on (R6). */
function removalsToApprove({ sync }: Definition, run: RunState, diff: Diff): HeldRemovals | null {
  const removed = countsOf(diff.counts, 'removed').detected
  const { keysBefore: rows, removedSamples: samples, rowsRead, rowsInvalid } = diff
  const usable = rowsRead - rowsInvalid
  return needsApproval(sync, { removed, rows, usable, approved: run.approved ?? null })
    ? { removed, rows, samples }
    : null
}

/** Throws `config` if somebody has to say first how a sync begins (`firstRun: ask`). */
function assertFirstRunChosen({ sync: { name, firstRun } }: Definition, rows: number): void {
  if (firstRun !== 'ask' || rows === 0) return
  const command = `\`sluice run ${name} --first-run`
  throw new SluiceError(
    'config',
    `${name} never ran here, and its firstRun is ask: ${rows} ${rows === 1 ? 'row' : 'rows'} would be sent as added, and nothing was sent. ${command} backfill\` sends them, ${command} skip-existing\` takes them as there already. Where a server runs it, set firstRun of the sync.`,
  )
}

/**
 * Makes a signal that aborts when a run has lasted for its `maxDuration`. Once disposed, it aborts no more.
 */
function deadlineOf({ sync }: Definition): Disposable & { readonly signal: AbortSignal } {
  const { maxDuration } = sync
  const ending = new AbortController()
  const message = 'the run lasted for longer than its maxDuration before it knew all that had changed'
  const end = (): void => ending.abort(new SluiceError('too-long', message))
  const timer = maxDuration === undefined ? undefined : setTimeout(end, maxDuration)
  return { signal: ending.signal, [Symbol.dispose]: () => clearTimeout(timer) }
}

/** Makes a signal that aborts with another one. Once disposed, it aborts no more. */
function followingUntilDisposed(signal: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const follower = new AbortController()
  const onAbort = (): void => follower.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  return {
    signal: follower.signal,
    [Symbol.dispose]: () => signal.removeEventListener('abort', onAbort),
  }
}

/**
 * True for failures of the log or of the ownership, which another takeover mends. All others fail the run.
 */
function isLogFailure(error: unknown): boolean {
  return isSluiceError(error, 'fenced') || isSluiceError(error, 'writer-dead')
}
