interface Abortable {
  abort(reason: unknown): void
}

/**
 * Aborts the requests of a signal. It has one listener per signal, however many requests share it: a listener
 * for each request would cost more than the rest of a send.
 */
export class AbortWatch<Work extends Abortable> {
  readonly #work = new Map<AbortSignal, Set<Work>>()

  add(signal: AbortSignal, work: Work): void {
    const known = this.#work.get(signal)
    if (known !== undefined) {
      known.add(work)
      return
    }
    this.#work.set(signal, new Set([work]))
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Stops watching the work. Unknown work is passed over. */
  remove(signal: AbortSignal, work: Work): void {
    const known = this.#work.get(signal)
    if (known === undefined || !known.delete(work) || known.size > 0) return
    this.#work.delete(signal)
    signal.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = (event: Event): void => {
    const signal = event.target
    if (!(signal instanceof AbortSignal)) return
    const works = this.#work.get(signal) ?? []
    this.#work.delete(signal)
    for (const work of works) work.abort(signal.reason)
  }
}
