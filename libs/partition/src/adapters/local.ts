/** Locks of the embedded profile. One process owns the folder, so its memory has all of them. */
import { abortable } from '@sluice/flow/abortable'
import type { Lock, Locks } from '../port.ts'

export function createLocalLocks(): Locks {
  return new LocalLocks()
}

class LocalLocks implements Locks {
  readonly trouble = null
  /** By name; a promise resolves once its lock is released. */
  readonly #taken = new Map<string, Promise<void>>()

  async acquire(name: string, options: { signal: AbortSignal }): Promise<Lock> {
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
