import type { Abortable } from './abortable.ts'
import { sleep } from './sleep.ts'

/** The first and the longest pause between attempts, in ms. */
export interface Pauses {
  readonly firstMs: number
  readonly maxMs: number
}

/** Returns the pause after at least one failure in a row, in ms. It doubles with each failure. */
export function doublingPause(failures: number, { firstMs, maxMs }: Pauses): number {
  return Math.min(firstMs * 2 ** (failures - 1), maxMs)
}

/**
 * Calls `work` until it succeeds, with doubling pauses in between. Rejects with the last error if `mayPass`
 * is false for it, or if the next attempt would begin later than `withinMs` after the call. When aborted, it
 * waits for the attempt under way, starts no other, and rejects with the signal's reason.
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
  for (let attempts = 1; ; attempts += 1) {
    signal.throwIfAborted()
    const pauseMs = doublingPause(attempts, pauses)
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
