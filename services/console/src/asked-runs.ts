/**
 * The open runs that clients of this server asked for. A client gets the first state of its run, and may then
 * follow it. The server follows it in any case, since embedded services work only as long as a run is
 * followed.
 */
import type { RunView } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import type { FollowedRun, Following } from '@sluice/control/port'
import { Notifier } from '@sluice/flow/notifier'
import type { Logger } from '@sluice/runtime/logger'

/** The most runs that are followed at once. Commands of one kind share a queued run, so there are few. */
const MAX_ASKED = 1_000
/** The time that a client waits for a detector to take its command up. */
const TAKEN_WITHIN_MS = 20_000

const ENDING = 'The process that has the folder open is ending: ask again.'

export interface AskedRunsOptions {
  readonly logger: Logger
  /** The runs are cancelled when it aborts. */
  readonly cancel: AbortSignal
  readonly takenWithinMs?: number
}

export class AskedRuns {
  readonly #options: AskedRunsOptions
  readonly #changes = new Notifier()
  #count = 0
  #isClosed = false

  constructor(options: AskedRunsOptions) {
    this.#options = options
  }

  /** The number of runs that are followed. */
  get count(): number {
    return this.#count
  }

  /**
   * Asks, and resolves with the first state of the run. Rejects with `unreachable` if no detector takes the
   * command up in time. The command stays in the log, and the run begins as soon as one does.
   */
  async ask(start: (following: Following) => Promise<FollowedRun>): Promise<RunView> {
    if (this.#isClosed) throw new SluiceError('conflict', ENDING, { retryable: true })
    if (this.#count >= MAX_ASKED)
      throw new SluiceError(
        'conflict',
        `${MAX_ASKED} runs that were asked for are still open: wait until one has ended.`,
        {
          retryable: true,
        },
      )
    const first = Promise.withResolvers<RunView>()
    const following = { onProgress: first.resolve, cancel: this.#options.cancel }
    this.#count += 1
    start(following)
      .then(
        ({ view }) => first.resolve(view),
        (error: unknown) => {
          first.reject(error)
          this.#options.logger.debug({ err: error }, 'a run that was asked for is not followed to its end')
        },
      )
      .finally(() => {
        this.#count -= 1
        this.#changes.notify()
      })
    const { takenWithinMs = TAKEN_WITHIN_MS } = this.#options
    const timer = setTimeout(() => first.reject(notTaken(takenWithinMs)), takenWithinMs)
    try {
      return await first.promise
    } finally {
      clearTimeout(timer)
    }
  }

  /** From now on, `ask` throws. */
  close(): void {
    this.#isClosed = true
  }

  /** Waits until no run is followed, and then closes. */
  async closeWhenIdle(options: { readonly signal: AbortSignal }): Promise<void> {
    for (;;) {
      const seen = this.#changes.version
      if (this.#count === 0) return this.close()
      await this.#changes.after(seen, options)
    }
  }
}

function notTaken(ms: number): SluiceError {
  return new SluiceError(
    'unreachable',
    `The run is asked for, but no change-detector has taken the command up within ${ms / 1000} s. It begins as soon as one does: start a change-detector, and look at \`sluice runs\`.`,
  )
}
