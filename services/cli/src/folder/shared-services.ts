/**
 * The services of a folder, for as long as somebody needs them. The command that has the folder open starts
 * them for its sync. Other commands ask it for runs of other syncs, and the services then take these syncs
 * up, too.
 */
import type { Pipeline } from '@sluice/control/pipeline'
import { endOf, type Ends } from '@sluice/flow/ends'

interface Running {
  readonly drain: AbortController
  readonly ended: Promise<void>
}

/** States: idle → running (somebody needs them) → draining (nobody does any more) → idle. */
export class SharedServices {
  readonly #start: Pipeline['start']
  /**
   * The syncs that somebody has asked for since the services started. The services read it for each command.
   */
  readonly #syncs = new Set<string>()
  #running: Running | null = null
  #users = 0
  /** Resolves once the services that ran before have drained. */
  #drained: Promise<void> = Promise.resolve()

  constructor(start: Pipeline['start']) {
    this.#start = start
  }

  /** Does the same as `Pipeline.start`. May be called any number of times at once. */
  readonly start = async (only: ReadonlySet<string> | null, { drain, abort }: Ends): Promise<void> => {
    this.#users += 1
    for (const sync of only ?? []) this.#syncs.add(sync)
    try {
      await this.#drained
      const running = (this.#running ??= this.#begin(abort))
      await Promise.race([running.ended, endOf(drain)])
    } finally {
      this.#users -= 1
      if (this.#users === 0) await this.#end()
    }
  }

  #begin(abort: AbortSignal): Running {
    const drain = new AbortController()
    const ended = this.#start(this.#syncs, { drain: drain.signal, abort })
    ended.catch(() => undefined)
    return { drain, ended }
  }

  /** Ends the services when nobody needs them any more. Rejects if the services have failed. */
  async #end(): Promise<void> {
    const running = this.#running
    if (running === null) return
    this.#running = null
    this.#syncs.clear()
    running.drain.abort()
    this.#drained = running.ended.catch(() => undefined)
    await running.ended
  }
}
