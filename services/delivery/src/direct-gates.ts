/** Gates that ask the budget themselves: take, wait as long as it says or until one of the partition's own slots is free, take again. */
import { Notifier } from '@sluice/flow/notifier'
import { sleep } from '@sluice/flow/sleep'
import type { LeaseHolder, RateLimit } from '@sluice/rate-limit/port'
import type { Gate, Gates, Lease } from './destination-gate.ts'
import type { Target } from './target.ts'

export function directGates(rateLimit: RateLimit, onError: (error: unknown) => void): Gates {
  return { of: (target, holder) => new DirectGate(rateLimit, target, { holder, onError }) }
}

class DirectGate implements Gate {
  readonly #rateLimit: RateLimit
  readonly #target: Target
  readonly #holder: LeaseHolder
  readonly #onError: (error: unknown) => void
  readonly #freed = new Notifier()

  constructor(
    rateLimit: RateLimit,
    target: Target,
    own: { readonly holder: LeaseHolder; readonly onError: (error: unknown) => void },
  ) {
    this.#rateLimit = rateLimit
    this.#target = target
    this.#holder = own.holder
    this.#onError = own.onError
  }

  async acquire(want: number, signal: AbortSignal): Promise<Lease> {
    const { scopes, slotLifeMs } = this.#target
    for (;;) {
      const seen = this.#freed.version
      const grant = await this.#rateLimit.take({ scopes, holder: this.#holder, want, slotLifeMs, signal })
      if (grant.kind === 'granted') {
        const giveBack = (unused: number, finished: number): void => {
          this.#rateLimit.giveBack(grant.lease, { unused, finished }).catch(this.#onError)
          this.#freed.notify()
        }
        return {
          permits: grant.permits,
          finished: requests => giveBack(0, requests),
          unused: permits => giveBack(permits, 0),
        }
      }
      await this.#wait(grant.waitMs, grant.reason === 'concurrency', { seen, signal })
    }
  }

  pauseUntil(untilMs: number): void {
    const [destination] = this.#target.scopes
    if (destination !== undefined) this.#rateLimit.pause(destination.name, untilMs).catch(this.#onError)
  }

  async #wait(
    waitMs: number,
    forSlot: boolean,
    options: { readonly seen: number; readonly signal: AbortSignal },
  ): Promise<void> {
    if (!forSlot) return sleep(waitMs, options)
    const waiting = new AbortController()
    const signal = AbortSignal.any([options.signal, waiting.signal])
    const waits = [sleep(waitMs, { signal }), this.#freed.after(options.seen, { signal })]
    try {
      await Promise.race(waits)
    } finally {
      waiting.abort()
      await Promise.allSettled(waits)
    }
  }
}
