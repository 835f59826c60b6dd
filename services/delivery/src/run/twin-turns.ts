/**
 * Sends requests whose rows have twins in order: the row of a twin goes once the request is finished that
 * removes the other one, whatever became of that (PROTOCOL.md §8). Until then only this row waits. It is in
 * work, so that the run does not end without it, and the requests behind it go on.
 */
import type { Request } from '@sluice/contracts/records'
import type { Target } from '../destination/target.ts'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'
import type { Doubt } from './doubt.ts'
import { KeyOrder } from './key-order.ts'

export class TwinTurns {
  readonly #ledger: Pick<AttemptLedger, 'isUnfinished' | 'room' | 'fail'>
  readonly #doubt: Pick<Doubt, 'remains' | 'untilNoneIsLate'>
  readonly #order = new KeyOrder()

  constructor(of: {
    readonly ledger: Pick<AttemptLedger, 'isUnfinished' | 'room' | 'fail'>
    readonly doubt: Pick<Doubt, 'remains' | 'untilNoneIsLate'>
  }) {
    this.#ledger = of.ledger
    this.#doubt = of.doubt
  }

  /**
   * Calls `send` when the turn of the request has come, at once if it is now. After an abort it does not: the
   * request is left to a successor. The requests come in the order of the topic, each taken into work.
   */
  take(
    of: {
      readonly offset: number
      readonly request: Pick<Request, 'trigger'>
      readonly twins: readonly string[]
      readonly target: Target
    },
    send: () => void,
    signal: AbortSignal,
  ): void {
    const isFree = this.#order.join(of.offset, of.twins, this.#ledger)
    // A removal that a dead process had sent may arrive late, behind the row of the twin.
    const mayBeOvertaken = of.request.trigger !== 'removed' && this.#doubt.remains
    if (isFree() && !mayBeOvertaken) return send()
    this.#inTurn({ isFree, late: mayBeOvertaken ? of.target : null, send }, signal).catch(
      (error: unknown) => {
        if (!signal.aborted) this.#ledger.fail(error)
      },
    )
  }

  /** A run is over, all of whose requests are finished. */
  clear(): void {
    this.#order.clear()
  }

  async #inTurn(
    of: { readonly isFree: () => boolean; readonly late: Target | null; readonly send: () => void },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#ledger.room(of.isFree, { signal })
    if (of.late !== null) await this.#doubt.untilNoneIsLate(of.late, signal)
    signal.throwIfAborted()
    of.send()
  }
}
