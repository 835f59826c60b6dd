/**
 * A run that ended before its partition was done, and that cannot be opened any more: its definition or a
 * part of its requests cannot be read. Delivery passes over the rest of it, so that it stops no later run.
 * The next run takes all of it as unknown (PROTOCOL.md §11).
 *
 * A run that can be opened is not passed over: its remaining requests become unsent.
 */
import type { SluiceError } from '@sluice/contracts/errors'
import { concernOf } from '@sluice/partition/failures'

export class PassedRun {
  readonly #isOver: (run: number) => boolean
  #run: number | null = null
  /**
   * The error of a record that could not be read while no run was open. The next record tells whose it is.
   */
  #torn: SluiceError | null = null

  /** `isOver` says of a run, by its number, whether it has ended. */
  constructor(isOver: (run: number) => boolean) {
    this.#isOver = isOver
  }

  /** The number of the run that is passed over, if there is one. */
  get run(): number | null {
    return this.#run
  }

  /**
   * Takes a record that cannot be read. `open` is the run that is open. Throws the error if that run goes on.
   */
  takeTorn(torn: SluiceError, open: number | null): void {
    const run = open ?? this.#run
    if (run === null) this.#torn ??= torn
    else if (!this.#isOver(run)) throw torn
  }

  /**
   * True if a record of this run is to be passed over. Throws the error of an unreadable record if it belongs
   * to a run that goes on.
   */
  passes(run: number): boolean {
    const torn = this.#torn
    if (torn === null) return this.#run === run
    if (!this.#isOver(run)) throw torn
    this.#torn = null
    this.#run = run
    return true
  }

  /** Passes over a run that cannot be opened. Throws the reason if it concerns more than this run. */
  begin(run: number, reason: unknown): void {
    if (concernOf(reason) !== 'sync' || !this.#isOver(run)) throw reason
    this.#run = run
  }

  /** Its end, or the next run, is reached. */
  end(): void {
    this.#run = null
    this.#torn = null
  }
}
