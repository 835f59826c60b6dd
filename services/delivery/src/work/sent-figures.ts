/** What one partition sends, as figures for operators. They hear of it once in a turn of the event loop. */
import type { Figures } from '@sluice/partition/figures'

export class SentFigures {
  readonly #figures: Figures
  readonly #sync: string
  readonly #attempts = new Map<string, number>()
  #inFlight = 0
  #toldInFlight = 0
  #isPlanned = false

  constructor(figures: Figures, sync: string) {
    this.#figures = figures
    this.#sync = sync
  }

  /** A request is handed to a socket (1), or was answered (−1). */
  inFlight(change: 1 | -1): void {
    this.#inFlight += change
    this.#plan()
  }

  attempted(outcome: string): void {
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
