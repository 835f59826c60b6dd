/**
 * The way to a destination for one partition: leases of its limits, waited for in turn with the others of
 * this process.
 */
import { isSluiceError } from '@sluice/contracts/errors'
import { sleep } from '@sluice/flow/sleep'
import type { LeaseHolder } from '@sluice/rate-limit/port'
import type { Lease, LeaseQueue } from '@sluice/rate-limit/lease-queue'
import type { Target } from './target.ts'

/** How soon to look again whether the group, or who keeps the limits, answers. */
const PAUSE_MS = 500
/**
 * How long who keeps the limits may be out of reach before others are left to try: longer than it takes to
 * replace a dead connection.
 */
const CUT_OFF_AFTER_MS = 15_000

/**
 * Leave for `permits` requests, to be handed to sockets until `useBeforeMs` (`elapsedMs`). Every permit
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
  readonly #onCutOff: (error: unknown) => void
  /** Since when who keeps the limits does not answer; null while it does. */
  #cutOffSinceMs: number | null = null

  /**
   * `mayAct` is false while another may be at work on the partition: nothing is sent then. `onError` is told
   * once when who keeps the limits does not answer, and of what could not be given back. `onCutOff` is told
   * when that has lasted for so long that another process should try; the gate goes on waiting until its
   * signal aborts.
   */
  constructor(
    queue: LeaseQueue,
    of: {
      readonly target: Target
      readonly holder: LeaseHolder
      readonly onError: (error: unknown) => void
      readonly mayAct: () => boolean
      readonly onCutOff: (error: unknown) => void
    },
  ) {
    this.#queue = queue
    this.#target = of.target
    this.#holder = of.holder
    this.#onError = of.onError
    this.#mayAct = of.mayAct
    this.#onCutOff = of.onCutOff
  }

  /**
   * Waits for at least one permit and at most `want`, and for who keeps the limits to answer. Rejects with
   * the signal's reason, and with `fenced` if a newer holder has the partition.
   */
  async acquire(want: number, signal: AbortSignal): Promise<Permits> {
    for (;;) {
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
      const lease = await this.#queue.acquire({ scopes, holder: this.#holder, want, slotLifeMs }, { signal })
      this.#cutOffSinceMs = null
      return lease
    } catch (error) {
      if (signal.aborted || !isSluiceError(error) || !error.retryable) throw error
      if (this.#cutOffSinceMs === null) this.#onError(error)
      this.#cutOffSinceMs ??= performance.now()
      if (performance.now() - this.#cutOffSinceMs >= CUT_OFF_AFTER_MS) this.#onCutOff(error)
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

  /** Nothing is sent to the destination for so long, by anybody. */
  pause(forMs: number): void {
    const [destination] = this.#target.scopes
    if (destination !== undefined) this.#queue.pause(destination.name, forMs).catch(this.#onError)
  }
}
