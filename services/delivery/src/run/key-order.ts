/**
 * Keeps the requests of a key in order in a replay, the only run in which a key may have several (R11). A
 * request is taken into work once no earlier one with a row of it is unfinished.
 */
import type { RequestRow } from '@sluice/contracts/records'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'

/** With so many keys in memory, those of finished requests are forgotten. */
const MOST_KEYS = 100_000

export class KeyOrder {
  /** The last request of each key. */
  #last = new Map<string, number>()

  /** Waits for the turn of the request, whose offset is above those before it. */
  async turn(
    { offset, rows }: { readonly offset: number; readonly rows: readonly Pick<RequestRow, 'key'>[] },
    ledger: Pick<AttemptLedger, 'isUnfinished' | 'room'>,
    signal: AbortSignal,
  ): Promise<void> {
    const isFree = (): boolean => rows.every(({ key }) => !ledger.isUnfinished(this.#last.get(key) ?? -1))
    if (!isFree()) await ledger.room(isFree, { signal })
    for (const { key } of rows) this.#last.set(key, offset)
    if (this.#last.size > MOST_KEYS)
      this.#last = new Map([...this.#last].filter(([, last]) => last === offset || ledger.isUnfinished(last)))
  }
}
