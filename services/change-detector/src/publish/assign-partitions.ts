/**
 * Assigns changes to partitions, and not by a hash of their keys. A hash would scatter the rows of a small
 * run over all partitions, and each would send a part of a batch as a request of its own. Instead, keys that
 * the delivered state does not know go out in blocks of a batch, and the state remembers where they went.
 */
import type { SyncSpec } from '@sluice/contracts/resources'
import { OPS } from '@sluice/contracts/state'
import type { DetectedChange } from '@sluice/delivered-state/port'
import { triggerOf } from '@sluice/domain/definition'

/** Rows of a block if no trigger has a batch size. */
const DEFAULT_BLOCK_ROWS = 100

/** Returns how many rows of an op make a block: its batch size, or a default if it has none. */
export function blockRowsOf(sync: SyncSpec): (op: DetectedChange['op']) => number {
  const rowsOf = new Map<DetectedChange['op'], number>(
    OPS.map(op => [op, triggerOf(sync, op)?.batch?.size ?? DEFAULT_BLOCK_ROWS]),
  )
  return op => rowsOf.get(op) ?? DEFAULT_BLOCK_ROWS
}

/**
 * Gives the changes of one run their partitions. All rows of an op come in succession. A key that has a
 * partition stays there, which keeps its changes in order. Keys without a partition go to partition 0 until
 * the rows of the op fill a block there, then to the next partition, and so on. So a small run makes one
 * request, and a large run makes full batches in all partitions. Each op begins with partition 0 again.
 * kept-run.ts of the delivered state has this rule, too, for runs that only add unknown keys.
 */
export class PartitionAssigner {
  readonly #partitions: number
  readonly #blockRows: (op: DetectedChange['op']) => number
  #op: DetectedChange['op'] | null = null
  /**
   * The number of rows of the op in each partition. Rows whose keys stay there count, too, since they share
   * its batches.
   */
  #rows: number[] = []
  /** The partition of the next key that has none. */
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
