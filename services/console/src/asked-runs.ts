/**
 * The runs that clients of this server asked for and that are under way. A client gets the first state of its
 * run, and follows it by itself. The server goes on following it, since services may work for as long as
 * somebody does.
 */
import type { RunView } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import type { FollowedRun, Following } from '@sluice/control/port'
import { Notifier } from '@sluice/flow/notifier'
import type { Logger } from '@sluice/runtime/logger'

/** Most that are followed at once. A queued run stands in for all others that wait, so few are enough. */
const MAX_ASKED = 1_000
/** How long a client waits for a detector to take its command up. */
const TAKEN_WITHIN_MS = 20_000

const ENDING = 'The process that has the folder open is ending: ask again.'

export interface AskedRunsOptions {
  readonly logger: Logger
  /** Once it aborts, the runs are cancelled. */
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

  /** How many are followed. */
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
        `${MAX_ASKED} runs are asked for already: wait until one has ended.`,
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

  /** Takes no more. */
  close(): void {
    this.#isClosed = true
  }

  /** Waits until none is under way, and then takes no more. */
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
