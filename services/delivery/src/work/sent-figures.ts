/**
 * What one partition sends, as figures for operators. They hear of it once in a turn of the event loop. What
 * fails is traced.
 */
import type { Figures } from '@sluice/partition/figures'
import type { UnownedAttempt } from '../ledger/request-history.ts'
import type { FailedAttempts } from './failed-attempts.ts'

export class SentFigures {
  readonly #figures: Figures
  readonly #sync: string
  readonly #failed: FailedAttempts | null
  readonly #attempts = new Map<string, number>()
  #inFlight = 0
  #toldInFlight = 0
  #isPlanned = false

  constructor(figures: Figures, sync: string, failed: FailedAttempts | null) {
    this.#figures = figures
    this.#sync = sync
    this.#failed = failed
  }

  /** A request is handed to a socket (1), or was answered (−1). */
  inFlight(change: 1 | -1): void {
    this.#inFlight += change
    this.#plan()
  }

  attempted(attempt: UnownedAttempt): void {
    const { outcome } = attempt
    this.#failed?.take(attempt)
    this.#attempts.set(outcome, (this.#attempts.get(outcome) ?? 0) + 1)
    this.#plan()
  }

  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    setImmediate(() => this.#tell())
  }

  #tell(): void {
    this.#isPlanned = false
    const change = this.#inFlight - this.#toldInFlight
    this.#toldInFlight = this.#inFlight
    if (change !== 0) this.#figures.inFlight(this.#sync, change)
    for (const [outcome, count] of this.#attempts) this.#figures.attempted(this.#sync, outcome, count)
    this.#attempts.clear()
  }
}
