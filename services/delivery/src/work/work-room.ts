/** Room for one more record in the work of a partition (PROTOCOL.md §8, _How much is in work_). */
import type { ByteShare } from '@sluice/flow/byte-budget'
import type { Care } from '@sluice/partition/deaths/count-deaths'
import { RequestMemory } from '../delivery-memory.ts'
import type { Target } from '../destination/target.ts'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'

/** From the lowest unfinished request to the newest one that is taken from the topic. */
const WINDOW_REQUESTS = 10_000
const ACTIVE_PER_SLOT = 4
const ACTIVE_LEAST = 64
const UNSEEN_PER_SLOT = 2

type Concurrency = Pick<Target, 'concurrency'>
type Announcing = Pick<Target, 'concurrency' | 'atMostOnce'>

/** Most requests of the window that are ready, sent or not yet acknowledged. The others wait, or are done. */
export function activeLimit({ concurrency }: Concurrency): number {
  return Math.max(ACTIVE_LEAST, Math.min(concurrency, WINDOW_REQUESTS) * ACTIVE_PER_SLOT)
}

/**
 * Most requests that a process may have sent of which its ledger knows nothing (R7). Null: none, and no
 * further try of a request that the ledger knows, since each is announced.
 */
export function unseenLimit({ concurrency, atMostOnce }: Announcing): number | null {
  return atMostOnce ? null : Math.min(concurrency * UNSEEN_PER_SLOT, WINDOW_REQUESTS)
}

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
    const active = activeLimit(target)
    const most = care.isOneByOne(active) ? 1 : active
    return window < WINDOW_REQUESTS && unfinished - sending.waiting < most
  }
}
