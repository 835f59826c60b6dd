/** The way to a destination for one partition: leases of its limits, waited for in turn with the others of this process. */
import type { LeaseHolder } from '@sluice/rate-limit/port'
import type { LeaseQueue } from '@sluice/rate-limit/lease-queue'
import type { Target } from './target.ts'

/** Leave for `permits` requests, to be handed to sockets until `useBeforeMs` (performance.now()). Every permit ends as finished or unused. */
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

  /** `onError` is told when something could not be given back: its slots then come back when they expire. */
  constructor(
    queue: LeaseQueue,
    of: {
      readonly target: Target
      readonly holder: LeaseHolder
      readonly onError: (error: unknown) => void
    },
  ) {
    this.#queue = queue
    this.#target = of.target
    this.#holder = of.holder
    this.#onError = of.onError
  }

  /** Waits for at least one permit and at most `want`. Rejects with the signal's reason, and with `fenced` if a newer holder has the partition. */
  async acquire(want: number, signal: AbortSignal): Promise<Permits> {
    const { scopes, slotLifeMs } = this.#target
    const lease = await this.#queue.acquire({ scopes, holder: this.#holder, want, slotLifeMs }, { signal })
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

  /** Nothing is sent to the destination before this time (ms since 1970), by anybody. */
  pauseUntil(untilMs: number): void {
    const [destination] = this.#target.scopes
    if (destination !== undefined) this.#queue.pause(destination.name, untilMs).catch(this.#onError)
  }
}
