/**
 * Which partition a change goes to. It is not the partition that a hash of its key would give. By hash, the
 * rows of a small run would lie scattered over all partitions, and each partition would send a part of a
 * batch as a request of its own. Instead, keys that the delivered state does not know go out in blocks of a
 * batch, and the state remembers where they went.
 */
import type { SyncSpec } from '@sluice/contracts/resources'
import { OPS } from '@sluice/contracts/state'
import type { DetectedChange } from '@sluice/delivered-state/port'
import { triggerOf } from '@sluice/domain/definition'

/** Rows of a block where no trigger says how many make a batch. */
const DEFAULT_BLOCK_ROWS = 100

/** How many rows of an op fill a request, or a block where they are sent one by one or not at all. */
export function blockRowsOf(sync: SyncSpec): (op: DetectedChange['op']) => number {
  const rowsOf = new Map<DetectedChange['op'], number>(
    OPS.map(op => [op, triggerOf(sync, op)?.batch?.size ?? DEFAULT_BLOCK_ROWS]),
  )
  return op => rowsOf.get(op) ?? DEFAULT_BLOCK_ROWS
}

/**
 * Gives the changes of one run their partitions. They come with all rows of an op in succession. A key that
 * has a partition stays there, which keeps its changes in order. Keys without a partition go to partition 0
 * until the rows of the op fill a block there, then to the next partition, and so round. So a small run makes
 * one request, and a large run full batches in all partitions. Each op begins with partition 0 again. The
 * delivered state knows this rule, too, of runs that add unknown keys and do nothing else (kept-run.ts).
 */
export class PartitionAssigner {
  readonly #partitions: number
  readonly #blockRows: (op: DetectedChange['op']) => number
  #op: DetectedChange['op'] | null = null
  /** Rows of the op in each partition, those that have stayed there included: they share its batches. */
  #rows: number[] = []
  /** Where the next key without a partition goes. */
  #next = 0

  constructor(partitions: number, blockRows: (op: DetectedChange['op']) => number) {
    this.#partitions = partitions
    this.#blockRows = blockRows
  }

  partitionOf({ op, partition }: Pick<DetectedChange, 'op' | 'partition'>): number {
    if (op !== this.#op) {
      this.#op = op
      this.#rows = new Array<number>(this.#partitions).fill(0)
      this.#next = 0
    }
    const assigned = partition ?? this.#next
    const rows = (this.#rows[assigned] ?? 0) + 1
    this.#rows[assigned] = rows
    const isFull = rows % this.#blockRows(op) === 0
    if (assigned === this.#next && isFull) this.#next = (this.#next + 1) % this.#partitions
    return assigned
  }
}
