import type { Abortable } from './abortable.ts'

/** The time given to `withDeadline` was used up. */
export class DeadlineExceeded extends Error {
  readonly deadlineMs: number

  constructor(deadlineMs: number) {
    super(`not finished within ${deadlineMs} ms`)
    this.name = 'DeadlineExceeded'
    this.deadlineMs = deadlineMs
  }
}

/**
 * Runs `work` with a signal that aborts with the given one, or with a `DeadlineExceeded` after `deadlineMs`.
 * It settles as `work` does: work that heeds its signal rejects with that reason, and work that ends in time
 * leaves no timer behind. It does not walk away from work that ignores the signal, since nothing may go on
 * unwatched.
 */
export async function withDeadline<T>(
  deadlineMs: number,
  options: Abortable,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal } = options
  signal.throwIfAborted()
  const controller = new AbortController()
  const onAbort = () => controller.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(() => controller.abort(new DeadlineExceeded(deadlineMs)), deadlineMs)
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}
