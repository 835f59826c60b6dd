/**
 * The way to a destination for one partition: leases of its limits, waited for in turn with the others of
 * this process.
 */
import { isSluiceError } from '@sluice/contracts/errors'
import { sleep } from '@sluice/flow/sleep'
import { LONGEST_PAUSE_MS, type LeaseHolder } from '@sluice/rate-limit/port'
import type { Lease, LeaseQueue } from '@sluice/rate-limit/lease-queue'
import type { Target } from './target.ts'

/** How soon to look again whether the group, or who keeps the limits, answers. */
const PAUSE_MS = 500

/**
 * Leave for `permits` requests, to be handed to sockets until `useBeforeMs` (performance.now()). Every permit
 * ends as finished or unused.
 */
export interface Permits {
  readonly permits: number
  readonly useBeforeMs: number
  finished(requests: number): void
  unused(permits: number): void
}

export class DestinationGate {
  readonly #queue: LeaseQueue
  readonly #target: Target
  readonly #holder: LeaseHolder
  readonly #onError: (error: unknown) => void
  readonly #mayAct: () => boolean
  #restUntilMs = -Infinity

  /**
   * `mayAct` is false while another may be at work on the partition: nothing is sent then. `onError` is told
   * when something could not be given back: its slots then come back when they expire.
   */
  constructor(
    queue: LeaseQueue,
    of: {
      readonly target: Target
      readonly holder: LeaseHolder
      readonly onError: (error: unknown) => void
      readonly mayAct: () => boolean
    },
  ) {
    this.#queue = queue
    this.#target = of.target
    this.#holder = of.holder
    this.#onError = of.onError
    this.#mayAct = of.mayAct
  }

  /**
   * Waits for at least one permit and at most `want`, and for who keeps the limits to answer. Rejects with
   * the signal's reason, and with `fenced` if a newer holder has the partition.
   */
  async acquire(want: number, signal: AbortSignal): Promise<Permits> {
    for (;;) {
      const restMs = this.#restUntilMs - performance.now()
      if (restMs > 0) await sleep(restMs, { signal })
      while (!this.#mayAct()) await sleep(PAUSE_MS, { signal })
      const lease = await this.#lease(want, signal)
      if (lease === null) await sleep(PAUSE_MS, { signal })
      // Who was frozen while it waited may have a successor by now.
      else if (this.#mayAct()) return this.#permitsOf(lease)
      else this.#queue.giveBack(lease, { unused: lease.permits, finished: 0 }).catch(this.#onError)
    }
  }

  /** Null if who keeps the limits does not answer. */
  async #lease(want: number, signal: AbortSignal): Promise<Lease | null> {
    const { scopes, slotLifeMs } = this.#target
    try {
      return await this.#queue.acquire({ scopes, holder: this.#holder, want, slotLifeMs }, { signal })
    } catch (error) {
      if (signal.aborted || !isSluiceError(error, 'unreachable')) throw error
      this.#onError(error)
      return null
    }
  }

  #permitsOf(lease: Lease): Permits {
    const giveBack = (unused: number, finished: number): void => {
      this.#queue.giveBack(lease, { unused, finished }).catch(this.#onError)
    }
    return {
      permits: lease.permits,
      useBeforeMs: lease.useBeforeMs,
      finished: requests => giveBack(0, requests),
      unused: permits => giveBack(permits, 0),
    }
  }

  /**
   * Nothing is sent to the destination for so long, by anybody; nothing from here even if who keeps the
   * limits does not hear of it.
   */
  pause(forMs: number): void {
    this.#restUntilMs = Math.max(this.#restUntilMs, performance.now() + Math.min(forMs, LONGEST_PAUSE_MS))
    const [destination] = this.#target.scopes
    if (destination !== undefined) this.#queue.pause(destination.name, forMs).catch(this.#onError)
  }
}
