/** A promise with its two ends apart, for answers that arrive elsewhere than they were asked for. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  /** Only the first call of `resolve` or `reject` counts. */
  readonly resolve: (value: T | PromiseLike<T>) => void
  readonly reject: (reason: unknown) => void
}

/**
 * Makes a deferred. A rejection that nobody awaits is still an unhandled one: whoever makes it sees to that.
 */
export function deferred<T = void>(): Deferred<T> {
  return Promise.withResolvers<T>()
}
