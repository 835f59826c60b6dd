/**
 * What came back of leases within a turn of the event loop, so that the limit hears of it once for each
 * lease, and before it is asked for more.
 */
import type { RateLimit, ReturnedParts } from './port.ts'

interface Turn {
  readonly parts: Map<string, { unused: number; finished: number; late: boolean }>
  readonly told: PromiseWithResolvers<void>
}

export class JoinedReturns {
  readonly #limit: Pick<RateLimit, 'giveBack'>
  #turn: Turn | null = null

  constructor(limit: Pick<RateLimit, 'giveBack'>) {
    this.#limit = limit
  }

  /**
   * As RateLimit.giveBack. All returns of a turn give the same promise. If one of them is a bug, all are
   * rejected.
   */
  add(lease: string, { unused, finished, late = false }: ReturnedParts): Promise<void> {
    const turn = this.#turn ?? this.#begin()
    const known = turn.parts.get(lease)
    if (known === undefined) turn.parts.set(lease, { unused, finished, late })
    else {
      known.unused += unused
      known.finished += finished
      known.late ||= late
    }
    return turn.told.promise
  }

  /** Tells the limit what came back so far. */
  tell(): void {
    const turn = this.#turn
    if (turn === null) return
    this.#turn = null
    const tellings = [...turn.parts].map(([lease, parts]) => this.#limit.giveBack(lease, parts))
    Promise.all(tellings).then(() => turn.told.resolve(), turn.told.reject)
  }

  #begin(): Turn {
    const turn = { parts: new Map(), told: Promise.withResolvers<void>() }
    this.#turn = turn
    setImmediate(() => this.tell())
    return turn
  }
}
