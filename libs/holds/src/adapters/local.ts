/** Holds of the embedded profile. One process has the folder, so its own memory knows all of them. */
import { abortable } from '@sluice/flow/abortable'
import type { Hold, Holds } from '../port.ts'

export function createLocalHolds(): Holds {
  return new LocalHolds()
}

class LocalHolds implements Holds {
  readonly trouble = null
  /** By name; a promise resolves once its hold is released. */
  readonly #taken = new Map<string, Promise<void>>()

  async acquire(name: string, options: { signal: AbortSignal }): Promise<Hold> {
    options.signal.throwIfAborted()
    for (;;) {
      const taken = this.#taken.get(name)
      if (taken === undefined) break
      await abortable(taken, options)
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#taken.set(name, promise)
    let held = true
    return {
      get held() {
        return held
      },
      [Symbol.asyncDispose]: () => {
        if (held) this.#taken.delete(name)
        held = false
        resolve()
        return Promise.resolve()
      },
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}
