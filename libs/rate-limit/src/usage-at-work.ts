import type { LimitUsage } from './port.ts'

/** Asks the limits that this process works with at the moment, which it opens and closes. */
export class UsageAtWork implements LimitUsage {
  #limits: LimitUsage | null = null

  /** Resolves null while there are no limits. */
  slotsTaken(destination: string): Promise<number | null> {
    return this.#limits?.slotsTaken(destination) ?? Promise.resolve(null)
  }

  /** Asks these limits until the returned value is disposed. */
  use(limits: LimitUsage): Disposable {
    this.#limits = limits
    return {
      [Symbol.dispose]: () => {
        if (this.#limits === limits) this.#limits = null
      },
    }
  }
}
