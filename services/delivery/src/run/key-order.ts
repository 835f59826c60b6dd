/**
 * Keeps the order of requests with the same key. Only a replay has several requests of a key in one run
 * (R11). A request has its turn once all earlier requests with one of its keys are finished. So no request
 * waits for a later one.
 */
import type { Request } from '@sluice/contracts/records'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'

/** Beyond this many keys in memory, the keys of finished requests are dropped. */
const MAX_KEYS = 100_000

type Ledger = Pick<AttemptLedger, 'isUnfinished' | 'unfinished' | 'room'>

export class KeyOrder {
  /** The last request of each key. */
  readonly #last = new Map<string, number>()
  /**
   * The limit of keys in memory. It becomes twice the number of keys of unfinished requests, if these are
   * many.
   */
  #maxKeys = MAX_KEYS

  /**
   * Waits for the turn of a request of a replay. Offsets must rise. A request with `alone` waits for all
   * earlier requests.
   */
  async turn(
    { offset, alone, rows }: { readonly offset: number; readonly alone: boolean } & Pick<Request, 'rows'>,
    ledger: Ledger,
    signal: AbortSignal,
  ): Promise<void> {
    const keys = rows.map(({ key }) => key)
    const isFree = alone ? () => ledger.unfinished === 0 : this.join(offset, keys, ledger)
    if (!isFree()) await ledger.room(isFree, { signal })
  }

  /** Queues a request. Offsets must rise. Returns a function that says whether its turn has come. */
  join(offset: number, keys: readonly string[], ledger: Pick<Ledger, 'isUnfinished'>): () => boolean {
    const earlier = new Set<number>()
    for (const key of keys) {
      const last = this.#last.get(key)
      if (last !== undefined && last !== offset) earlier.add(last)
      this.#last.set(key, offset)
    }
    if (this.#last.size > this.#maxKeys) {
      for (const [key, last] of this.#last)
        if (last !== offset && !ledger.isUnfinished(last)) this.#last.delete(key)
      this.#maxKeys = Math.max(MAX_KEYS, this.#last.size * 2)
    }
    return () => [...earlier].every(last => !ledger.isUnfinished(last))
  }

  /** Forgets all requests, which are finished. */
  clear(): void {
    this.#last.clear()
    this.#maxKeys = MAX_KEYS
  }
}
