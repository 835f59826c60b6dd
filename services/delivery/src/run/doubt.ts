/**
 * What a predecessor that left without a word may have sent unseen, and may still send (PROTOCOL.md §8).
 *
 * States: none (it left in good order) ← of the open run (until its end) → of what came before (that run
 * could not be opened, and is passed over) → none, once its requests can arrive no more.
 */
import type { WaitNow } from '@sluice/contracts/run-records'
import { sleep } from '@sluice/flow/sleep'
import type { HttpSender } from '@sluice/http-sender/port'
import type { Target } from '../destination/target.ts'
import { NO_HISTORY, type PartHistory, type RequestHistory } from '../ledger/request-history.ts'

/** Until when requests to a target may arrive, by `performance.now()`. */
export type ArriveUntil = (target: Target) => number

/**
 * Requests of a process that has ended may still reach the API: the kernel delivers what the process had
 * written to its sockets. A successor waits for them where they could overtake its own (PROTOCOL.md §8).
 */
export interface LateSends {
  /**
   * Notes that a request of the partition is about to go out, before any byte of it does. Throws `disk` or
   * `unreachable` if that cannot be noted: then the request must not go out.
   */
  begin(partition: string, timeoutMs: number): SendUnderWay
  /** What the owner before may have sent, if it left without a word before now. */
  ofPredecessor(partition: string): ArriveUntil
}

/** A request from the moment when bytes of it may go out. */
export interface SendUnderWay {
  /** It came to its end, and its outcome is known here. */
  finished(): void
  /** This process gives it up without an outcome. It may still arrive. */
  abandoned(): void
}

const UNNOTED: SendUnderWay = { finished: () => undefined, abandoned: () => undefined }

/**
 * Nothing is noted. After each unclean takeover, requests may be late for `lateMs`.
 */
export function lateAfterTakeover(lateMs: (target: Target) => number): LateSends {
  return {
    begin: () => UNNOTED,
    ofPredecessor: () => {
      const sinceMs = performance.now()
      return target => sinceMs + lateMs(target)
    },
  }
}

/** A sender that notes each request. Disposing it disposes the one that it is made of. */
export function notedSender(
  { sender, lateSends }: { readonly sender: HttpSender; readonly lateSends: LateSends },
  partition: string,
): HttpSender {
  return {
    async send(request) {
      const underWay = lateSends.begin(partition, request.timeoutMs)
      try {
        const result = await sender.send(request)
        underWay.finished()
        return result
      } catch (error) {
        underWay.abandoned()
        throw error
      }
    },
    [Symbol.asyncDispose]: () => sender[Symbol.asyncDispose](),
  }
}

/** Why a try that was announced is not made. */
export const ANNOUNCED = 'the process ended while it was sending this, which may have arrived or not'
/** Why a request that was announced is not sent. */
export const NOT_SENT = 'the process was asked to end before it could send this'
/** Why a run does not end yet. */
const MAY_ARRIVE = 'a request of a killed process may still arrive'

/** Any of these parts may have been sent once more. */
function doubted(
  history: RequestHistory,
  which: (part: PartHistory) => boolean = () => true,
): RequestHistory {
  const parts = history.parts.map(part => (which(part) ? { ...part, tainted: true, unseen: true } : part))
  return { ...history, parts }
}

export class Doubt {
  readonly #arriveUntil: ArriveUntil
  #state: 'none' | 'of the open run' | 'of what came before'
  /** How many more requests without an attempt it may have sent; null before the first is seen. */
  #left: number | null = null
  /** While it waits for requests that may be late. */
  #waitsFor: WaitNow | null = null

  /** `arriveUntil` says how long requests of the predecessor may be late. */
  constructor(clean: boolean, arriveUntil: ArriveUntil) {
    this.#arriveUntil = arriveUntil
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

  get waitsFor(): WaitNow | null {
    return this.#waitsFor
  }

  /**
   * Waits until no request of the predecessor can arrive any more. Otherwise such a request might arrive
   * behind those of the next run.
   */
  async untilNoneIsLate(target: Target, signal: AbortSignal): Promise<void> {
    if (this.#state === 'none') return
    const leftMs = this.#arriveUntil(target) - performance.now()
    if (leftMs <= 0) return
    this.#waitsFor ??= { kind: 'takeover', until: Date.now() + leftMs, detail: MAY_ARRIVE }
    await sleep(leftMs, { signal }).finally(() => (this.#waitsFor = null))
  }

  /** Another run opens. It sends nothing while requests from before it can still arrive. */
  async beforeSending(target: Target, signal: AbortSignal): Promise<void> {
    if (this.#state !== 'of what came before') return
    await this.untilNoneIsLate(target, signal)
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
