import type { Abortable } from './abortable.ts'

/**
 * Wakes the callers that wait for "something has changed". A version number closes the gap between looking
 * and waiting:
 *
 *     for (;;) {
 *       const seen = changes.version
 *       if (conditionHolds()) break
 *       await changes.after(seen, { signal })
 *     }
 *
 * Any number of callers may wait at once. A notifier has no end: an owner that closes notifies once more, and
 * the callers look and see it.
 */
export class Notifier {
  #version = 0
  #waiters = new Set<() => void>()
  /** Each function checks its condition, and removes itself once the condition holds. */
  readonly #looks = new Set<() => void>()

  /** Grows by one with each `notify`. */
  get version(): number {
    return this.#version
  }

  /** The number of callers that wait now. */
  get waiting(): number {
    return this.#waiters.size + this.#looks.size
  }

  notify(): void {
    this.#version += 1
    for (const look of this.#looks) look()
    if (this.#waiters.size === 0) return
    const waiters = this.#waiters
    this.#waiters = new Set()
    for (const wake of waiters) wake()
  }

  /**
   * Resolves once the version differs from `seen`; rejects with the signal's reason when that aborts first.
   */
  after(seen: number, options: Abortable): Promise<void> {
    const { signal } = options
    return new Promise<void>((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      if (this.#version !== seen) {
        resolve()
        return
      }
      const wake = () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = () => {
        this.#waiters.delete(wake)
        reject(signal.reason)
      }
      this.#waiters.add(wake)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /**
   * Resolves once the condition holds, which it checks now and with each `notify`. Rejects with an error that
   * the condition throws, or with the signal's reason. A check costs no more than the condition, so that
   * thousands may wait while most changes concern one of them.
   */
  until(condition: () => boolean, { signal }: Abortable): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const end = (): void => {
        this.#looks.delete(look)
        signal.removeEventListener('abort', onAbort)
      }
      const look = (): boolean => {
        try {
          if (!condition()) return false
          resolve()
        } catch (error) {
          reject(error)
        }
        end()
        return true
      }
      const onAbort = (): void => {
        end()
        reject(signal.reason)
      }
      if (look()) return
      if (signal.aborted) return onAbort()
      this.#looks.add(look)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }
}
