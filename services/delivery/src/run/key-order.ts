/**
 * Keeps requests in order that name the same thing: in a replay, the only run in which a key may have several
 * requests, the key (R11); in any run, the form that the keys of twins share. A request has its turn once no
 * earlier one that names something of it is unfinished. So none ever waits for a later one.
 */
import type { Request } from '@sluice/contracts/records'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'

/** With so many names in memory, those of finished requests are forgotten; with more if few of them are. */
const MOST_NAMES = 100_000

type Ledger = Pick<AttemptLedger, 'isUnfinished' | 'room'>

export class KeyOrder {
  /** The last request of each name. */
  readonly #last = new Map<string, number>()
  #mostNames = MOST_NAMES

  /** Waits for the turn of a request of a replay, whose offset is above those before it. */
  async turn(
    {
      offset,
      rows,
      twins,
    }: { readonly offset: number } & Pick<Request, 'twins'> & {
        readonly rows: readonly Pick<Request['rows'][number], 'key'>[]
      },
    ledger: Ledger,
    signal: AbortSignal,
  ): Promise<void> {
    const isFree = this.join(offset, [...rows.map(({ key }) => key), ...(twins ?? [])], ledger)
    if (!isFree()) await ledger.room(isFree, { signal })
  }

  /**
   * Takes the place of a request, whose offset is above those before it, and says whether its turn has come.
   */
  join(offset: number, names: readonly string[], ledger: Pick<Ledger, 'isUnfinished'>): () => boolean {
    const earlier = new Set<number>()
    for (const name of names) {
      const last = this.#last.get(name)
      if (last !== undefined && last !== offset) earlier.add(last)
      this.#last.set(name, offset)
    }
    if (this.#last.size > this.#mostNames) {
      for (const [name, last] of this.#last)
        if (last !== offset && !ledger.isUnfinished(last)) this.#last.delete(name)
      this.#mostNames = Math.max(MOST_NAMES, this.#last.size * 2)
    }
    return () => [...earlier].every(last => !ledger.isUnfinished(last))
  }

  /** All requests are finished. */
  clear(): void {
    this.#last.clear()
    this.#mostNames = MOST_NAMES
  }
}
