/** How many requests of a partition are in work (PROTOCOL.md §8). */
import type { Target } from '../destination/target.ts'

/** From the lowest unfinished request to the newest one that is taken from the topic. */
export const WINDOW_REQUESTS = 10_000
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
