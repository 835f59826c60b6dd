/**
 * Looks after one sync. It takes the sync over when there is something to do, and works on it until there is
 * nothing more. After a failure of the log or of its writer it takes the sync over again.
 *
 * States: idle (unowned) → owned → idle; owned → (transient failure) → owned; idle or owned → suspended,
 * since no process can own it → owned. A command to a suspended sync fails. It also starts a new attempt to
 * own it.
 */
import { isSluiceError } from '@sluice/contracts/errors'
import type { Command, Fired } from '@sluice/contracts/records'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import {
  FAILURES_THAT_END_A_RUN,
  FailuresOfRun,
  Suspensions,
  WorkAttempts,
  type Suspender,
} from '@sluice/partition/failures'
import { endSuspended } from './end-suspended.ts'
import { PendingDue } from './pending-due.ts'
import { OldRuns } from './owned-sync.ts'
import type { Ends } from '@sluice/flow/ends'
import type { RunnerDeps } from './runner-deps.ts'
import { SyncOwner, type WaitingCommand } from './sync-owner.ts'

const PAUSE_AFTER_FAILURE_MS = 500

export class SyncRunner {
  readonly sync: string
  readonly #deps: RunnerDeps
  readonly #ends: Ends
  readonly #isMember: () => Promise<boolean>
  readonly #onFailure: (error: unknown) => void
  readonly #onUnknown: () => void
  readonly #waiting: WaitingCommand[] = []
  readonly #due = new PendingDue()
  /** Ids of the runs that this process has begun. */
  readonly #startedHere = new Set<string>()
  readonly #oldRuns = new OldRuns()
  /**
   * The number of runs that have ended by themselves. When failures are counted, an interrupted run and its
   * replacement are one run.
   */
  #endedRuns = 0
  /** Notifies of each command. */
  readonly #asked = new Notifier()
  #owner: SyncOwner | null = null
  /** True after a reset, which may have mended the sync. */
  #mayGoOn = false
  /** True once it has turned out that the sync does not exist. */
  #isForgotten = false
  #work: Promise<void> | null = null

  constructor(
    sync: string,
    deps: RunnerDeps,
    options: {
      readonly ends: Ends
      /** Asks the group whether this process still has the sync's partition. */
      readonly isMember: () => Promise<boolean>
      /** Called with a failure that concerns more than this sync. */
      readonly onFailure: (error: unknown) => void
      /** Called when the sync does not exist, and nothing is left to do. */
      readonly onUnknown: () => void
    },
  ) {
    this.sync = sync
    this.#deps = deps
    this.#ends = options.ends
    this.#isMember = options.isMember
    this.#onFailure = options.onFailure
    this.#onUnknown = options.onUnknown
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

  /** Takes an instant at which the schedule is due. It replaces an earlier instant that still waits. */
  fire(fired: Fired): void {
    this.#due.set(fired)
    this.wake()
  }

  /** Looks whether there is something to do: a command that waits, or a run that an earlier detector left. */
  wake(): void {
    this.#owner?.look()
    this.#asked.notify()
    this.#work ??= this.#run()
      .catch(this.#onFailure)
      .finally(() => {
        this.#work = null
        if (this.#ends.drain.aborted) this.#refuseAll(this.#ends.drain.reason)
        else if (this.#waiting.length > 0 || this.#due.fired !== null) this.wake()
        else if (this.#isForgotten) this.#onUnknown()
      })
  }

  /** Resolves once nothing is under way. Its ends must have aborted before. */
  async stopped(): Promise<void> {
    await this.#work
  }

  async #run(): Promise<void> {
    const { drain: signal } = this.#ends
    using attempts = new WorkAttempts(
      {
        onTransientFailure: (_, err) =>
          this.#deps.logger.warn({ sync: this.sync, err }, 'the sync is taken over again'),
        suspender: this.#suspender(),
      },
      null,
    )
    while (!signal.aborted) {
      let pauseMs = PAUSE_AFTER_FAILURE_MS
      const seen = this.#asked.version
      this.#mayGoOn = false
      this.#isForgotten = false
      attempts.begins()
      try {
        await using owner = await SyncOwner.begin(this.sync, this.#deps, {
          ends: this.#ends,
          isMember: this.#isMember,
          startedHere: this.#startedHere,
          oldRuns: this.#oldRuns,
          onEnd: () => void (this.#endedRuns += 1),
        })
        this.#owner = owner
        await owner.work(this.#waiting, this.#due)
        attempts.works()
        return
      } catch (error) {
        if (signal.aborted) return
        pauseMs = Math.max(pauseMs, await attempts.failed(error))
        this.#isForgotten = this.#isUnknown(error)
        if (this.#isForgotten) this.#due.done(this.#due.fired)
        if (this.#isForgotten) return
      } finally {
        this.#owner = null
      }
      if (!this.#mayGoOn) await this.#pause(pauseMs, seen)
    }
  }

  /** Handles a sync that no process can own: every command to it fails until the sync can be owned again. */
  #suspender(): Suspender {
    const { sync } = this
    const suspensions = new Suspensions({ ...this.#deps, stage: 'changes', sync })
    const failures = new FailuresOfRun()
    return {
      failed: async (_, error) => {
        const ofRun = failures.failed(null, this.#endedRuns)
        // The obstacle to a run at work may be gone by the next takeover. If that takeover fails, too, people
        // need to know.
        if (this.#owner !== null && ofRun < FAILURES_THAT_END_A_RUN)
          return this.#deps.logger.warn({ sync, err: error }, 'the sync is taken over again')
        if (!this.#isUnknown(error)) suspensions.failed(null, error)
        if (!(await this.#isMember())) return
        const { drain: signal } = this.#ends
        this.#mayGoOn = await endSuspended(this.#deps, sync, {
          ...{ waiting: this.#waiting, due: this.#due, error, signal },
        })
      },
      works: () => suspensions.works(null),
      left: () => suspensions.left(null),
    }
  }

  /** True if the sync does not exist. Then another attempt would find nothing either. */
  #isUnknown(error: unknown): boolean {
    return isSluiceError(error, 'not-found') && (this.#deps.runs.of(this.sync)?.incarnation ?? '') === ''
  }

  /** Waits for the pause, or until a command comes. */
  async #pause(pauseMs: number, seen: number): Promise<void> {
    const over = new AbortController()
    const signal = AbortSignal.any([this.#ends.drain, over.signal])
    const asked = this.#asked.after(seen, { signal })
    await Promise.race([sleep(pauseMs, { signal }), asked]).catch(() => undefined)
    over.abort(new Error('it is tried again'))
    await asked.catch(() => undefined)
  }

  #refuseAll(reason: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(reason)
  }
}
