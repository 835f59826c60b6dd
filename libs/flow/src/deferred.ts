/**
 * A promise with its two ends apart, for an answer that arrives in another place than the question was asked
 * in.
 */
export interface Deferred<T> {
  readonly promise: Promise<T>
  /** Only the first call of `resolve` or `reject` counts. */
  readonly resolve: (value: T | PromiseLike<T>) => void
  readonly reject: (reason: unknown) => void
}

/** Makes a deferred. Its maker must see that a rejection is awaited: otherwise it is an unhandled one. */
export function deferred<T = void>(): Deferred<T> {
  return Promise.withResolvers<T>()
}
