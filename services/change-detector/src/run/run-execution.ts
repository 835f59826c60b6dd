/**
 * One run of a sync: bring the state up to date, read the model, publish what changed, and wait for delivery
 * (PROTOCOL.md §6).
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { changeSchema } from '@sluice/contracts/avro-schemas'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { HeldRemovals, Restoring } from '@sluice/contracts/records'
import type { Definition } from '@sluice/contracts/resources'
import { OPS } from '@sluice/contracts/state'
import { countsOf, detectedRows } from '@sluice/domain/counts'
import { isHeld } from '@sluice/domain/removal-guard'
import type { DeliveredState, Diff, EndedKey } from '@sluice/delivered-state/port'
import { concernOf } from '@sluice/stage/concern-of'
import { blockRowsOf } from '../publish/assign-partitions.ts'
import { awaitReports } from './await-reports.ts'
import { detectChanges, type Detected } from '../detect/detect-changes.ts'
import { endKeys } from '../publish/end-keys.ts'
import { feedState } from '../detect/feed-state.ts'
import { beginOf } from './finish-open-run.ts'
import { forgetRuns } from './forget-runs.ts'
import { publishChanges } from '../publish/publish-changes.ts'
import { noticesOf } from './notices.ts'
import { endedRun, failedRun, hasSeenModel, purposeOf, type RunState } from './run-events.ts'
import { RestoringTeller } from './tell-restoring.ts'
import type { Tenure } from '../sync/tenure.ts'

/** How long the last change of a key that is gone stays in `changes` (PROTOCOL.md §1). */
const GONE_KEPT_MS = 7 * 24 * 3_600_000
/** Why a state is empty whose sync has run before. */
const NO_CACHE = 'there is no cache of it here'

export class RunExecution {
  readonly #tenure: Tenure
  readonly #queued: RunState
  /** Aborts when the run is cancelled. */
  readonly #cancel: AbortSignal
  #run: RunState
  /** True once a record of the run may be in `changes`: then only sealing ends it. */
  #published = false

  constructor(tenure: Tenure, queued: RunState, cancel: AbortSignal) {
    this.#tenure = tenure
    this.#queued = queued
    this.#cancel = cancel
    this.#run = queued
  }

  /**
   * Resolves once the run has ended; rejects with a setback where it is to be adopted or sealed after another
   * takeover.
   */
  async carryOut(): Promise<void> {
    const { deps, ends } = this.#tenure
    try {
      const definition = await this.#begin()
      const publishedAll = await this.#detectAndPublish(definition)
      if (publishedAll !== null) await awaitReports(this.#tenure, this.#run, { sealed: !publishedAll })
    } catch (error) {
      if (ends.signal.aborted || this.#published || isLogFailure(error)) throw error
      await forgetRuns(this.#tenure)
      const failed = failedRun(this.#run, error, deps.now())
      const cancelled = { ...failed, status: 'cancelled', error: null, errorCode: null } as const
      await this.#tenure.write(this.#cancel.aborted ? cancelled : failed)
    }
  }

  async #begin(): Promise<Definition> {
    const tenure = this.#tenure
    const { deps, sync, ends } = tenure
    tenure.lastRun += 1
    tenure.begunHere.add(this.#queued.runId)
    const { lastRun: run, first } = tenure
    const { faults } = tenure
    this.#run = { ...this.#queued, status: 'running', run, first, faults, startedAt: deps.now() }
    const definition = await deps.resolveDefinition(sync, ends.signal)
    this.#run = { ...this.#run, definition: await deps.definitions.put(definition, { signal: ends.signal }) }
    await tenure.write(this.#run)
    deps.logger.info({ sync, run: this.#run.runId, number: run }, 'the run has begun')
    return definition
  }

  /**
   * True if all was published, false if it was cancelled in between, null if there was nothing and the run
   * has ended, or if it is held.
   */
  async #detectAndPublish(definition: Definition): Promise<boolean | null> {
    const tenure = this.#tenure
    const { deps, sync, ownership, ends } = tenure
    const { incarnation, partitions } = ownership
    // Until the first record is out a drain or a cancel ends the run at once; from then on it is ended in
    // good order.
    using deadline = deadlineOf(definition)
    using detecting = followingUntilDisposed(AbortSignal.any([ends.signal, this.#cancel, deadline.signal]))
    const signal = AbortSignal.any([detecting.signal, ends.publishing])
    using _slot = await deps.detections?.take({ signal })
    let whyEmpty = NO_CACHE
    const onDiscard = (why: string): void => void (whyEmpty = `its cache cannot be used: ${why}`)
    await using state = await deps.openState({ sync, incarnation, partitions, onDiscard })
    await this.#feed(state, { whyEmpty, signal })
    await using source = await deps.openSource(definition)
    const extractFile = await this.#extractFile(incarnation)
    const purpose = purposeOf(this.#run)
    const baseline = purpose === undefined && tenure.first && definition.sync.firstRun === 'skip-existing'
    const reading = { state, source, definition, extractFile, baseline, purpose, signal }
    await using detected = await detectChanges(reading)
    const { rowsRead, rowsInvalid, invalidSamples, counts, settled } = detected.diff
    this.#run = {
      ...this.#run,
      rowsRead,
      rowsInvalid,
      invalidSamples,
      counts,
      notices: noticesOf(definition, detected.diff, purpose),
    }
    const held = removalsToHold(definition, this.#run, detected.diff)
    if (held !== null) {
      signal.throwIfAborted()
      await tenure.hold({ ...this.#run, status: 'held', held, approved: null })
      return null
    }
    if (detectedRows(counts) === 0 && settled === 0) {
      await forgetRuns(tenure)
      this.#cancel.throwIfAborted()
      this.#run = { ...this.#run, complete: true }
      tenure.first &&= !hasSeenModel(this.#run)
      await tenure.write(endedRun(this.#run, [], { sealed: false, at: deps.now() }))
      return null
    }
    await this.#endGone(state, signal)
    return await this.#publish(definition, detected, detecting)
  }

  /**
   * Ends in `changes` what has been gone for long (PROTOCOL.md §1). It says nothing of a run, so that one
   * that is cut here has published nothing.
   */
  async #endGone(state: DeliveredState, signal: AbortSignal): Promise<void> {
    const { deps, ownership, ends } = this.#tenure
    const end = (keys: readonly EndedKey[]): Promise<void> =>
      endKeys(ownership, 'changes', { keys, signal: ends.publishing })
    await state.endGone(deps.now() - GONE_KEPT_MS, end, { signal })
  }

  async #publish(definition: Definition, detected: Detected, detecting: Disposable): Promise<boolean> {
    const tenure = this.#tenure
    const { deps, sync, ownership, ends } = tenure
    const { incarnation } = ownership
    const { signal } = ends
    const schema = changeSchema(detected.columns)
    const encoder = await deps.io.changeEncoder({ sync, incarnation, schema }, { signal })
    await tenure.write(this.#run)
    this.#cancel.throwIfAborted()
    signal.throwIfAborted()
    detecting[Symbol.dispose]()
    this.#published = true
    const options = {
      io: deps.io,
      ownership,
      begin: beginOf(this.#run),
      encoder,
      blockRows: blockRowsOf(definition.sync),
      cancel: this.#cancel,
      signal: ends.publishing,
    }
    const complete = await publishChanges(detected.diff, options).catch((error: unknown) =>
      this.#leaveToSealing(error),
    )
    if (!complete) return false
    this.#run = { ...this.#run, complete }
    tenure.first &&= !hasSeenModel(this.#run)
    for (const op of OPS) deps.figures?.published(sync, op, countsOf(this.#run.counts, op).detected)
    if (!signal.aborted) await tenure.write(this.#run)
    return true
  }

  /**
   * What is published in part is ended by a takeover from oneself, which reads what is there and seals it.
   */
  async #leaveToSealing(error: unknown): Promise<never> {
    if (concernOf(error) === 'passing' || this.#tenure.ends.signal.aborted) throw error
    const message = error instanceof Error ? error.message : String(error)
    const errorCode = isSluiceError(error) ? error.code : 'internal'
    this.#run = { ...this.#run, error: message, errorCode }
    await this.#tenure.write(this.#run)
    throw new SluiceError('writer-dead', 'the run is to be sealed', { cause: error, retryable: true })
  }

  /** Brings the state up to date; one that turns out to be damaged is built anew from the topics, once. */
  async #feed(
    state: DeliveredState,
    { whyEmpty, signal }: { readonly whyEmpty: string; readonly signal: AbortSignal },
  ): Promise<void> {
    const { deps, ownership } = this.#tenure
    const { incarnation, partitions, topics } = ownership
    const { faults, run } = this.#run
    if (run === null) throw new SluiceError('internal', `run ${this.#run.runId} has no number yet`)
    const fedFor = { run, at: deps.now() }
    const options = { ...deps, topics, partitions, incarnation, faults, fedFor, signal }
    const feed = async (why: string | undefined): Promise<void> => {
      const teller = this.#restoringTeller()
      const told = { onProgress: (progress: Restoring) => teller.tell(progress) }
      await feedState(state, { ...options, ...told, ...(why === undefined ? {} : { whyEmpty: why }) })
      await teller.end()
    }
    try {
      // Before the first run there is nothing that could have been kept.
      await feed(run === 1 ? undefined : whyEmpty)
    } catch (error) {
      if (!isSluiceError(error, 'corrupt')) throw error
      await state.reset()
      await feed(error.message)
    } finally {
      this.#run = { ...this.#run, restoring: null }
    }
  }

  #restoringTeller(): RestoringTeller {
    const { deps, sync } = this.#tenure
    const { logger, steadyNow = () => performance.now() } = deps
    const write = async (restoring: Restoring | null): Promise<void> => {
      this.#run = { ...this.#run, restoring }
      await this.#tenure.write(this.#run)
    }
    return new RestoringTeller({ sync, logger, steadyNow, write })
  }

  /** Where the model's result goes; what killed runs of the sync left there is removed. */
  async #extractFile(incarnation: string): Promise<string> {
    const { deps, sync } = this.#tenure
    const folder = join(deps.dataDir, 'tmp')
    const prefix = `${sync}.${incarnation}.`
    for (const name of await readdir(folder))
      if (name.startsWith(prefix)) await rm(join(folder, name), { recursive: true, force: true })
    return join(folder, `${prefix}${this.#run.runId}.duckdb`)
  }
}

/** What the removal guard wants somebody to look at first; null where the run may go on (R6). */
function removalsToHold({ sync }: Definition, run: RunState, diff: Diff): HeldRemovals | null {
  const removed = countsOf(diff.counts, 'removed').detected
  const { keysBefore: rows, removedSamples: samples } = diff
  return isHeld(sync, { removed, rows, approved: run.approved ?? null }) ? { removed, rows, samples } : null
}

/** Aborts when a run has lasted for as long as its sync allows, until it is disposed. */
function deadlineOf({ sync }: Definition): Disposable & { readonly signal: AbortSignal } {
  const { maxDuration } = sync
  const ending = new AbortController()
  const message = 'the run lasted for longer than its maxDuration before it knew all that had changed'
  const end = (): void => ending.abort(new SluiceError('too-long', message))
  const timer = maxDuration === undefined ? undefined : setTimeout(end, maxDuration)
  return { signal: ending.signal, [Symbol.dispose]: () => clearTimeout(timer) }
}

/** A signal that aborts with another, until it is disposed. */
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
 * Failures of the log or of the ownership: not the run's own, and mended by another takeover. All else fails
 * the run.
 */
function isLogFailure(error: unknown): boolean {
  return isSluiceError(error, 'fenced') || isSluiceError(error, 'writer-dead')
}
