import type { LimitUsage } from '@sluice/rate-limit/port'

/** How much of the limits is in use, asked of those that the services of this process keep to. */
export class UsageAtWork implements LimitUsage {
  #limits: LimitUsage | null = null

  /** Null while no services are at work. */
  slotsTaken(destination: string): Promise<number | null> {
    return this.#limits?.slotsTaken(destination) ?? Promise.resolve(null)
  }

  /** Asks these limits until the answer is disposed. */
  of(limits: LimitUsage): Disposable {
    this.#limits = limits
    return {
      [Symbol.dispose]: () => {
        if (this.#limits === limits) this.#limits = null
      },
    }
  }
}
