import type { LimitUsage } from './port.ts'

/** How much of the limits is in use, asked of those that this process keeps to. */
export class UsageAtWork implements LimitUsage {
  #limits: LimitUsage | null = null

  /** Null while there are none. */
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
