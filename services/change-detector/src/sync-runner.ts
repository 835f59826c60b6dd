/**
 * Looks after one sync: takes it over when there is something to do, works on it until there is nothing more,
 * and takes it over anew where the log or its writer was in the way.
 *
 * States: idle (unowned) → owned → idle; owned → (setback) → owned.
 */
import type { SluiceError } from '@sluice/contracts/errors'
import { isSluiceError } from '@sluice/contracts/errors'
import type { Command } from '@sluice/contracts/records'
import { sleep } from '@sluice/flow/sleep'
import { incarnationOf } from '@sluice/stage/incarnations'
import { isSetback } from '@sluice/stage/own-partitions'
import { appendRunEvent } from './append-run-event.ts'
import { endLostSync } from './end-lost-sync.ts'
import { OldRuns } from './old-runs.ts'
import { failedRun, queuedRun } from './run-events.ts'
import type { RunnerDeps, RunnerEnds } from './runner-deps.ts'
import { SyncTenure, type WaitingCommand } from './sync-tenure.ts'

const PAUSE_AFTER_SETBACK_MS = 500

export class SyncRunner {
  readonly sync: string
  readonly #deps: RunnerDeps
  readonly #ends: RunnerEnds
  readonly #isMember: () => Promise<boolean>
  readonly #onFailure: (error: unknown) => void
  readonly #waiting: WaitingCommand[] = []
  /** Ids of the runs that this process has begun. */
  readonly #begunHere = new Set<string>()
  readonly #oldRuns = new OldRuns()
  #tenure: SyncTenure | null = null
  #work: Promise<void> | null = null

  constructor(
    sync: string,
    deps: RunnerDeps,
    of: {
      readonly ends: RunnerEnds
      /** Asks the group whether this process still has the sync's partition. */
      readonly isMember: () => Promise<boolean>
      /** Told of a failure that no takeover mends. */
      readonly onFailure: (error: unknown) => void
    },
  ) {
    this.sync = sync
    this.#deps = deps
    this.#ends = of.ends
    this.#isMember = of.isMember
    this.#onFailure = of.onFailure
  }

  /**
   * Takes a command. Resolves once its effect on `runs` is acknowledged, so that its offset may be committed;
   * rejects if the runner is stopped before that.
   */
  submit(command: Command, offset: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ command, offset, resolve, reject })
    this.wake()
    return promise
  }

  /** Looks whether there is something to do: a command that waits, or a run that an earlier detector left. */
  wake(): void {
    this.#tenure?.look()
    this.#work ??= this.#run()
      .catch(this.#onFailure)
      .finally(() => {
        this.#work = null
        if (this.#ends.signal.aborted) this.#refuseAll(this.#ends.signal.reason)
        else if (this.#waiting.length > 0) this.wake()
      })
  }

  /** Resolves once nothing is under way; the ends have been aborted before. */
  async stopped(): Promise<void> {
    await this.#work
  }

  async #run(): Promise<void> {
    const { signal } = this.#ends
    while (!signal.aborted) {
      try {
        await using tenure = await SyncTenure.begin(this.sync, this.#deps, {
          ends: this.#ends,
          isMember: this.#isMember,
          begunHere: this.#begunHere,
          oldRuns: this.#oldRuns,
        })
        this.#tenure = tenure
        await tenure.work(this.#waiting)
        return
      } catch (error) {
        if (signal.aborted) return
        if (isSluiceError(error, 'lost-topic') && (await this.#isMember())) return await this.#endLost(error)
        if (isSluiceError(error, 'not-found') && this.#tenure === null) return await this.#failAll(error)
        if (!isSetback(error) && !isOfATopic(error)) throw error
        this.#deps.logger.warn({ sync: this.sync, err: error }, 'the sync is taken over anew')
      } finally {
        this.#tenure = null
      }
      await sleep(PAUSE_AFTER_SETBACK_MS, { signal }).catch(() => undefined)
    }
  }

  async #endLost(error: SluiceError): Promise<void> {
    const { sync } = this
    const { signal } = this.#ends
    this.#deps.logger.error({ sync, err: error }, 'the sync has lost a topic')
    await endLostSync(this.#deps, sync, { waiting: this.#waiting, error, signal })
  }

  /** Commands for a sync that does not exist: the runs that they ask for have failed. */
  async #failAll(error: SluiceError): Promise<void> {
    const { now } = this.#deps
    const { signal } = this.#ends
    const { sync } = this
    const incarnation = await incarnationOf(this.#deps, sync, { signal })
    for (const waiting of this.#waiting.splice(0)) {
      const { id: runId, kind, cause, scope } = waiting.command
      if (kind === 'run' || kind === 'reset') {
        const queued = queuedRun({
          runId,
          cause,
          scope: scope ?? null,
          command: waiting.offset,
          partitions: 0,
          at: now(),
        })
        const event = { ...failedRun(queued, error, now()), sync, incarnation, marker: -1 }
        await appendRunEvent(this.#deps, event, { signal })
      }
      waiting.resolve()
    }
  }

  #refuseAll(reason: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(reason)
  }
}

/** A topic that is not there, or no more: the next takeover sees which. */
function isOfATopic(error: unknown): boolean {
  return isSluiceError(error, 'not-found') || isSluiceError(error, 'lost-topic')
}
