/** Room for one more record in the work of a partition (PROTOCOL.md §8, _How much is in work_). */
import type { ByteShare } from '@sluice/flow/byte-budget'
import type { Care } from '@sluice/partition/deaths/count-deaths'
import { RequestMemory } from '../delivery-memory.ts'
import type { Target } from '../destination/target.ts'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'
import { activeLimit, WINDOW_REQUESTS } from './work-limits.ts'

type Taking = Parameters<typeof RequestMemory.take>[1]

interface Open {
  readonly care: Care
  readonly target: Target
  readonly sending: { readonly waiting: number }
}

export class WorkRoom {
  readonly #ledger: AttemptLedger
  readonly #share: ByteShare

  constructor(of: { readonly ledger: AttemptLedger; readonly share: ByteShare }) {
    this.#ledger = of.ledger
    this.#share = of.share
  }

  /** The memory for a record, if few enough are in work, and there is memory for it now; else null. */
  tryTake(open: Open, of: Omit<Taking, 'signal'>): RequestMemory | null {
    if (this.#ledger.failure.aborted || !this.#hasRoom(open)) return null
    return RequestMemory.tryTake(this.#share, of)
  }

  /** Waits for it. Rejects with the failure of the ledger, and when aborted. */
  async take(open: Open, of: Taking): Promise<RequestMemory> {
    await this.#ledger.room(() => this.#hasRoom(open), of)
    return await RequestMemory.take(this.#share, of)
  }

  /** Requests that wait for their next try count only for the window. */
  #hasRoom({ care, sending, target }: Open): boolean {
    const { window, unfinished } = this.#ledger
    const most = care.isOneByOne ? 1 : activeLimit(target)
    return window < WINDOW_REQUESTS && unfinished - sending.waiting < most
  }
}
