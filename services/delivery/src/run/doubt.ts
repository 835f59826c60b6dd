/**
 * What a predecessor that left without a word may have sent unseen, and may still send (PROTOCOL.md §8).
 *
 * States: none (it left in good order) ← of the open run (until its end) → of what came before (that run
 * could not be opened, and is passed over) → none, once its requests can arrive no more.
 */
import { sleep } from '@sluice/flow/sleep'
import { NO_HISTORY, type PartHistory, type RequestHistory } from '../ledger/request-history.ts'

/** Why a try that was announced is not made. */
export const ANNOUNCED = 'the process ended while it was sending this, which may have arrived or not'
/** Why a request that was announced is not sent. */
export const NOT_SENT = 'the process was asked to end before it could send this'

/** Any of these parts may have been sent once more. */
function doubted(
  history: RequestHistory,
  which: (part: PartHistory) => boolean = () => true,
): RequestHistory {
  const parts = history.parts.map(part => (which(part) ? { ...part, tainted: true, unseen: true } : part))
  return { ...history, parts }
}

export class Doubt {
  readonly #sinceMs = performance.now()
  #state: 'none' | 'of the open run' | 'of what came before'
  /** How many more requests without an attempt it may have sent; null before the first is seen. */
  #left: number | null = null

  constructor(clean: boolean) {
    this.#state = clean ? 'none' : 'of the open run'
  }

  /** False once nothing is in doubt, so that a successor need not doubt it either. */
  get remains(): boolean {
    return this.#state !== 'none'
  }

  /**
   * Counts what the predecessor may have sent unseen as one more attempt, unknown. It may have sent at most
   * `mostUnseen` requests so. Null: it announced each try, so that nothing is unseen but what it announced.
   */
  historyOf(known: RequestHistory | undefined, mostUnseen: number | null): RequestHistory {
    const history = known ?? NO_HISTORY
    if (mostUnseen === null) return doubted(history, part => part.intent !== null)
    if (this.#state !== 'of the open run') return history
    if (known !== undefined) return doubted(history)
    this.#left ??= mostUnseen
    if (this.#left === 0) return history
    this.#left -= 1
    return doubted(history)
  }

  /**
   * Waits until no request of a frozen predecessor can arrive any more. Otherwise such a request might
   * overtake the next run.
   */
  async untilNoneIsLate(lateMs: number, signal: AbortSignal): Promise<void> {
    if (this.#state === 'none') return
    const leftMs = this.#sinceMs + lateMs - performance.now()
    if (leftMs > 0) await sleep(leftMs, { signal })
  }

  /** Another run opens. It sends nothing while requests from before it can still arrive. */
  async beforeSending(lateMs: number, signal: AbortSignal): Promise<void> {
    if (this.#state !== 'of what came before') return
    await this.untilNoneIsLate(lateMs, signal)
    this.#state = 'none'
  }

  /**
   * The run is passed over. It is not known how long its requests may be late, so the next run waits for
   * them.
   */
  isLeft(): void {
    if (this.#state === 'of the open run') this.#state = 'of what came before'
  }

  get isOfBefore(): boolean {
    return this.#state === 'of what came before'
  }

  /** All requests of the run are finished, and none can arrive any more. */
  runEnded(): void {
    if (this.#state === 'of the open run') this.#state = 'none'
  }
}
