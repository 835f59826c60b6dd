/**
 * Looks after one sync. It takes the sync over when there is something to do, and works on it until there is
 * nothing more. After a failure of the log or of its writer it takes the sync over again.
 *
 * States: idle (unowned) → owned → idle; owned → (setback) → owned; idle or owned → set aside → owned. A
 * command to a sync that is set aside fails. It is also a new try.
 */
import { isSluiceError } from '@sluice/contracts/errors'
import type { Command } from '@sluice/contracts/records'
import type { Fired } from '@sluice/contracts/run-records'
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import {
  FAILURES_THAT_END_A_RUN,
  FailuresOfRun,
  Suspensions,
  WorkAttempts,
  type Suspender,
} from '@sluice/partition/failures'
import { endSetAside } from './end-set-aside.ts'
import { PendingDue } from './pending-due.ts'
import { OldRuns } from './tenure.ts'
import type { Ends } from '@sluice/flow/ends'
import type { RunnerDeps } from './runner-deps.ts'
import { SyncTenure, type WaitingCommand } from './sync-tenure.ts'

const PAUSE_AFTER_SETBACK_MS = 500

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
   * How many runs have come to their own end. A run that was cut has not: the one in its place is the same
   * run, as far as failures are concerned.
   */
  #endedRuns = 0
  /** Notifies of each command. */
  readonly #asked = new Notifier()
  #tenure: SyncTenure | null = null
  /** True after a reset, which may have mended the sync. */
  #mayGoOn = false
  /** True once it has turned out that there is no such sync. */
  #isForgotten = false
  #work: Promise<void> | null = null

  constructor(
    sync: string,
    deps: RunnerDeps,
    of: {
      readonly ends: Ends
      /** Asks the group whether this process still has the sync's partition. */
      readonly isMember: () => Promise<boolean>
      /** Told of a failure that concerns more than this sync. */
      readonly onFailure: (error: unknown) => void
      /** Told that there is no such sync, and nothing left to do. */
      readonly onUnknown: () => void
    },
  ) {
    this.sync = sync
    this.#deps = deps
    this.#ends = of.ends
    this.#isMember = of.isMember
    this.#onFailure = of.onFailure
    this.#onUnknown = of.onUnknown
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

  /** Takes an instant of the schedule. It takes the place of an earlier one that waits. */
  fire(fired: Fired): void {
    this.#due.set(fired)
    this.wake()
  }

  /** Looks whether there is something to do: a command that waits, or a run that an earlier detector left. */
  wake(): void {
    this.#tenure?.look()
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
      let pauseMs = PAUSE_AFTER_SETBACK_MS
      const seen = this.#asked.version
      this.#mayGoOn = false
      this.#isForgotten = false
      attempts.begins()
      try {
        await using tenure = await SyncTenure.begin(this.sync, this.#deps, {
          ends: this.#ends,
          isMember: this.#isMember,
          startedHere: this.#startedHere,
          oldRuns: this.#oldRuns,
          onEnd: () => void (this.#endedRuns += 1),
        })
        this.#tenure = tenure
        await tenure.work(this.#waiting, this.#due)
        attempts.works()
        return
      } catch (error) {
        if (signal.aborted) return
        pauseMs = Math.max(pauseMs, await attempts.failed(error))
        this.#isForgotten = this.#isUnknown(error)
        if (this.#isForgotten) this.#due.done(this.#due.fired)
        if (this.#isForgotten) return
      } finally {
        this.#tenure = null
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
        if (this.#tenure !== null && ofRun < FAILURES_THAT_END_A_RUN)
          return this.#deps.logger.warn({ sync, err: error }, 'the sync is taken over again')
        if (!this.#isUnknown(error)) suspensions.failed(null, error)
        if (!(await this.#isMember())) return
        const { drain: signal } = this.#ends
        this.#mayGoOn = await endSetAside(this.#deps, sync, {
          ...{ waiting: this.#waiting, due: this.#due, error, signal },
        })
      },
      works: () => suspensions.works(null),
      left: () => suspensions.left(null),
    }
  }

  /** True for a sync that does not exist: there is nothing to try again. */
  #isUnknown(error: unknown): boolean {
    return isSluiceError(error, 'not-found') && (this.#deps.runs.of(this.sync)?.incarnation ?? '') === ''
  }

  /** Pauses, but no longer than until a command comes. */
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
