import type { Abortable } from './abortable.ts'
import { sleep } from './sleep.ts'

/** The pauses between tries, in ms: the first one, and the longest one. */
export interface Pauses {
  readonly firstMs: number
  readonly maxMs: number
}

/** The pause after so many failures in a row, at least one, in ms. It doubles with each failure. */
export function doublingPause(failures: number, { firstMs, maxMs }: Pauses): number {
  return Math.min(firstMs * 2 ** (failures - 1), maxMs)
}

/**
 * Calls `work` until it succeeds, with doubling pauses in between. Rejects with the last error if `mayPass`
 * is false for it, or if the next try would begin later than `withinMs` after the call. When aborted, it
 * starts no further try and rejects with the signal's reason; it waits for a try that is under way.
 */
export async function retry<T>(
  work: () => Promise<T>,
  options: Abortable & {
    readonly pauses: Pauses
    readonly withinMs: number
    readonly mayPass: (error: unknown) => boolean
  },
): Promise<T> {
  const { pauses, withinMs, mayPass, signal } = options
  const deadline = performance.now() + withinMs
  for (let tries = 1; ; tries += 1) {
    signal.throwIfAborted()
    const pauseMs = doublingPause(tries, pauses)
    try {
      return await work()
    } catch (error) {
      if (!mayPass(error)) throw error
      signal.throwIfAborted()
      if (performance.now() + pauseMs > deadline) throw error
    }
    await sleep(pauseMs, { signal })
  }
}
