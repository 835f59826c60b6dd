/**
 * A clock that stands still until a test moves it. It starts at 2026-01-01T00:00:00Z. Timers set on it fire
 * while it is moved, in the order of their times. Those for the same time fire in the order in which they
 * were set.
 */
export class FakeClock {
  #nowMs: number
  #timers: { readonly atMs: number; readonly fire: () => void }[] = []

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs
  }

  /** Milliseconds since 1970. A property, so that it can be handed over as a function. */
  readonly now = (): number => this.#nowMs

  /**
   * Moves on by `ms` and fires the timers that are due on the way. Continuations of promises that a timer
   * settles run only after this returns.
   */
  advance(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`a clock moves on by 0 ms or more, not by ${ms}`)
    const endMs = this.#nowMs + ms
    for (;;) {
      const next = this.#takeDue(endMs)
      if (next === undefined) break
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.fire()
    }
    this.#nowMs = endMs
  }

  /** Moves to the next timer and fires it; false if there is none. */
  advanceToNext(): boolean {
    const next = Math.min(...this.#timers.map(timer => timer.atMs))
    if (next === Infinity) return false
    this.advance(Math.max(next - this.#nowMs, 0))
    return true
  }

  /** Sets the clock back or forth without firing anything, as when somebody corrects a machine's time. */
  jump(ms: number): void {
    this.#nowMs += ms
  }

  /**
   * Resolves once the clock has moved on by `ms`; rejects with the signal's reason. Same shape as flow's
   * `sleep`.
   */
  readonly sleep = (ms: number, options: { readonly signal: AbortSignal }): Promise<void> => {
    const { signal } = options
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const timer = {
        atMs: this.#nowMs + Math.max(ms, 0),
        fire: () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = () => {
        this.#timers = this.#timers.filter(other => other !== timer)
        reject(signal.reason)
      }
      this.#timers.push(timer)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  get pendingTimers(): number {
    return this.#timers.length
  }

  #takeDue(untilMs: number): { readonly atMs: number; readonly fire: () => void } | undefined {
    let due: { readonly atMs: number; readonly fire: () => void } | undefined
    for (const timer of this.#timers) {
      if (timer.atMs <= untilMs && (due === undefined || timer.atMs < due.atMs)) due = timer
    }
    if (due !== undefined) this.#timers = this.#timers.filter(timer => timer !== due)
    return due
  }
}
