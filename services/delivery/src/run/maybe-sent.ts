/**
 * Requests that a predecessor may have sent without a record, and that may still arrive. There may be some if
 * the predecessor ended without a `release` (PROTOCOL.md §8).
 *
 * States: `none` (it released the partition) or `of the open run` (until that run ends) → `of an earlier run`
 * (the run could not be opened and is skipped) → `none`, once the requests can arrive no more. In a run over
 * a stream, `of the open run` → `none` as soon as they are finished, too.
 */
import type { WaitNow } from '@sluice/contracts/records'
import { sleep } from '@sluice/flow/sleep'
import type { HttpSender } from '@sluice/http-sender/port'
import type { Target } from '../destination/target.ts'
import { NO_HISTORY, type PartHistory, type RequestHistory } from '../ledger/request-history.ts'

/** Returns until when requests to the target may arrive, by `performance.now()`. */
export type ArriveUntil = (target: Target) => number

/**
 * Notes which requests are under way, for successors. Requests of a dead process may still reach the API,
 * since the kernel delivers what the process had written to its sockets. A successor waits where these
 * requests could arrive after its own (PROTOCOL.md §8).
 */
export interface LateSends {
  /**
   * Notes that a request of the partition is about to be sent, before any byte of it is. Throws `disk` or
   * `unreachable` if it cannot note that. The request must not be sent then.
   */
  begin(partition: string, timeoutMs: number): SendUnderWay
  /** Returns how long requests of an owner that died before now may arrive. */
  ofPredecessor(partition: string): ArriveUntil
}

/** A request of which bytes may have been sent. */
export interface SendUnderWay {
  /** Notes that its outcome is known. */
  finished(): void
  /** Notes that this process gives it up without an outcome. It may still arrive. */
  abandoned(): void
}

const UNNOTED: SendUnderWay = { finished: () => undefined, abandoned: () => undefined }

/** Notes nothing. After each unclean takeover, requests may arrive for `lateMs`. */
export function lateAfterTakeover(lateMs: (target: Target) => number): LateSends {
  return {
    begin: () => UNNOTED,
    ofPredecessor: () => {
      const sinceMs = performance.now()
      return target => sinceMs + lateMs(target)
    },
  }
}

/** Returns a sender that notes each request. Its disposal disposes `sender`. */
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

/** The error of a request that its process was sending, with an intent, when it died. */
export const DIED_SENDING = 'the process ended while it was sending this, which may have arrived or not'
/** The error of a request with an intent that is not sent. */
export const NOT_SENT = 'the process was asked to end before it could send this'
const MAY_ARRIVE = 'a request of a killed process may still arrive'

/** Marks the parts as maybe sent once more, so that all their rows are uncertain. */
function withMaybeSent(
  history: RequestHistory,
  which: (part: PartHistory) => boolean = () => true,
): RequestHistory {
  const parts = history.parts.map(part =>
    which(part) ? { ...part, uncertain: true, maybeSent: true } : part,
  )
  return { ...history, parts }
}

export class MaybeSent {
  readonly #arriveUntil: ArriveUntil
  #state: 'none' | 'of the open run' | 'of an earlier run'
  /**
   * The number of further requests without an attempt that may have been sent; null before the first request.
   */
  #left: number | null = null
  #waitsFor: WaitNow | null = null

  /**
   * `isClean` is true if the predecessor left nothing under way. `arriveUntil` says until when its requests
   * may arrive.
   */
  constructor(isClean: boolean, arriveUntil: ArriveUntil) {
    this.#arriveUntil = arriveUntil
    this.#state = isClean ? 'none' : 'of the open run'
  }

  /** True while requests of the predecessor may arrive. A successor then has to expect them, too. */
  get remains(): boolean {
    return this.#state !== 'none'
  }

  /**
   * Returns the history of a request. If the predecessor may have sent it without a record, the history
   * counts that as one more attempt, which is unknown. `most` is the number of requests without an attempt
   * that the predecessor may have sent. It is null if the predecessor recorded an intent before each attempt.
   */
  historyOf(known: RequestHistory | undefined, most: number | null): RequestHistory {
    const history = known ?? NO_HISTORY
    if (most === null) return withMaybeSent(history, part => part.intent !== null)
    if (this.#state !== 'of the open run') return history
    if (known !== undefined) return withMaybeSent(history)
    this.#left ??= most
    if (this.#left === 0) return history
    this.#left -= 1
    return withMaybeSent(history)
  }

  /** The wait of `untilNoneIsLate`; null while it does not wait. */
  get waitsFor(): WaitNow | null {
    return this.#waitsFor
  }

  /**
   * Waits until no request of the predecessor can arrive any more, so that none arrives after requests of the
   * next run. `isShown` is false while the run sends other requests, so that people see no wait.
   */
  async untilNoneIsLate(
    target: Target,
    signal: AbortSignal,
    { isShown = true }: { readonly isShown?: boolean } = {},
  ): Promise<void> {
    if (this.#state === 'none') return
    const leftMs = this.#arriveUntil(target) - performance.now()
    if (leftMs <= 0) return
    if (!isShown) return await sleep(leftMs, { signal })
    this.#waitsFor ??= { kind: 'takeover', until: Date.now() + leftMs, detail: MAY_ARRIVE }
    await sleep(leftMs, { signal }).finally(() => (this.#waitsFor = null))
  }

  /** Waits, before a run sends anything, until requests of an earlier run can arrive no more. */
  async beforeSending(target: Target, signal: AbortSignal): Promise<void> {
    if (this.#state !== 'of an earlier run') return
    await this.untilNoneIsLate(target, signal)
    this.#state = 'none'
  }

  /**
   * Notes that the run is skipped. The target of the run is not known here, so the next run waits for its
   * requests.
   */
  runPassedOver(): void {
    if (this.#state === 'of the open run') this.#state = 'of an earlier run'
  }

  get isOfEarlierRun(): boolean {
    return this.#state === 'of an earlier run'
  }

  /**
   * Notes that all requests which the predecessor may have sent are finished, and none can arrive any more.
   * Mostly the run has ended.
   */
  areFinished(): void {
    if (this.#state === 'of the open run') this.#state = 'none'
  }
}
