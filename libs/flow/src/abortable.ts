export interface Abortable {
  readonly signal: AbortSignal
}

/**
 * Waits for the promise, but no longer than until the signal aborts: then it rejects with the signal's
 * reason, and what becomes of the promise is ignored (its later rejection is no unhandled one). It leaves no
 * listener behind on long-lived signals. With a signal that is already aborted it rejects even if the promise
 * is settled.
 */
export function abortable<T>(promise: Promise<T>, options: Abortable): Promise<T> {
  const { signal } = options
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) {
      promise.catch(() => {})
      reject(signal.reason)
      return
    }
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
