export interface Abortable {
  readonly signal: AbortSignal
}

/**
 * Waits for the promise, but no longer than until the signal aborts. Then it rejects with the signal's reason
 * and ignores the promise, whose later rejection is handled. It leaves no listener behind on long-lived
 * signals. With a signal that is already aborted it rejects, even if the promise is done.
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
