/**
 * Keeps requests of a replay in order that have a row of the same key: no other run has several requests of a
 * key (R11). A request has its turn once no earlier one with a key of it is unfinished. So none ever waits
 * for a later one.
 */
import type { Request } from '@sluice/contracts/records'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'

/** With so many keys in memory, those of finished requests are forgotten; with more if few of them are. */
const MAX_KEYS = 100_000

type Ledger = Pick<AttemptLedger, 'isUnfinished' | 'unfinished' | 'room'>

export class KeyOrder {
  /** The last request of each key. */
  readonly #last = new Map<string, number>()
  #mostKeys = MAX_KEYS

  /**
   * Waits for the turn of a request of a replay, whose offset is above those before it. If it goes alone, all
   * before it are finished.
   */
  async turn(
    of: { readonly offset: number; readonly alone: boolean } & Pick<Request, 'rows'>,
    ledger: Ledger,
    signal: AbortSignal,
  ): Promise<void> {
    const keys = of.rows.map(({ key }) => key)
    const isFree = of.alone ? () => ledger.unfinished === 0 : this.join(of.offset, keys, ledger)
    if (!isFree()) await ledger.room(isFree, { signal })
  }

  /**
   * Takes the place of a request, whose offset is above those before it, and says whether its turn has come.
   */
  join(offset: number, keys: readonly string[], ledger: Pick<Ledger, 'isUnfinished'>): () => boolean {
    const earlier = new Set<number>()
    for (const key of keys) {
      const last = this.#last.get(key)
      if (last !== undefined && last !== offset) earlier.add(last)
      this.#last.set(key, offset)
    }
    if (this.#last.size > this.#mostKeys) {
      for (const [key, last] of this.#last)
        if (last !== offset && !ledger.isUnfinished(last)) this.#last.delete(key)
      this.#mostKeys = Math.max(MAX_KEYS, this.#last.size * 2)
    }
    return () => [...earlier].every(last => !ledger.isUnfinished(last))
  }

  /** All requests are finished. */
  clear(): void {
    this.#last.clear()
    this.#mostKeys = MAX_KEYS
  }
}
