/**
 * Gathers a partition's changes into batches of rows. Only the changes decide where a batch ends: their
 * count, bytes, ops and markers. Neither the clock nor the size of a fetch does. So a renderer that starts
 * again makes the same batches (PROTOCOL.md §7).
 */
import type { AnyRow } from '@sluice/contracts/avro/encoded-row'
import type { Change } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'

/**
 * A batch ends once its changes have this many bytes in the topic, however few they are. The renderer holds a
 * whole batch in memory.
 */
export const BATCH_CEILING_BYTES = 16_000_000
/**
 * A batch also ends once its changes have this many times the bytes that its body may have. A larger batch
 * would mostly be too large for one body, and be divided. The factor is above 1 because a change has up to
 * two rows, and a template may leave a part of them out.
 */
const MAX_BODIES_PER_BATCH = 4
/** A batch whose body must be small may still have this many bytes of changes. */
const MIN_CEILING_BYTES = 1_000_000

/** The largest size of a batch. */
export interface BatchLimits {
  readonly size: number
  /** The largest body, in bytes. */
  readonly bytes: number
}

/** For a trigger without batches. */
export const ONE_ROW: BatchLimits = { size: 1, bytes: 0 }

function ceilingOf({ bytes }: BatchLimits): number {
  return Math.min(BATCH_CEILING_BYTES, Math.max(MIN_CEILING_BYTES, bytes * MAX_BODIES_PER_BATCH))
}

/** A change with its offset in `changes`, and its bytes there. */
export interface SizedChange {
  readonly offset: number
  readonly bytes: number
  readonly change: Change<AnyRow>
}

export interface RowBatch {
  readonly op: Op
  readonly changes: readonly Change<AnyRow>[]
  /** Offsets in `changes`: from the first row, inclusive, to after the last, exclusive. */
  readonly start: number
  readonly end: number
}

const NONE: readonly RowBatch[] = []

export class RowBatches {
  readonly #limitsOf: (op: Op) => BatchLimits
  #op: Op | null = null
  #changes: Change<AnyRow>[] = []
  #bytes = 0
  #start = 0
  #end = 0

  constructor(limitsOf: (op: Op) => BatchLimits) {
    this.#limitsOf = limitsOf
  }

  /** Adds a row. Returns the batches that this completes, at most two. */
  add(op: Op, { offset, bytes, change }: SizedChange): readonly RowBatch[] {
    const complete = this.#op !== null && this.#op !== op ? this.flush() : NONE
    if (this.#op === null) {
      this.#op = op
      this.#start = offset
    }
    this.#changes.push(change)
    this.#end = offset + 1
    this.#bytes += bytes
    const limits = this.#limitsOf(op)
    if (this.#changes.length < limits.size && this.#bytes < ceilingOf(limits)) return complete
    return complete.length === 0 ? this.flush() : [...complete, ...this.flush()]
  }

  /** The bytes that the changes of the open batch have in the topic. */
  get openBytes(): number {
    return this.#bytes
  }

  /**
   * Forgets the open batch. Returns the offset and the seq of its first change, from which it has to be read
   * again; null if no batch is open.
   */
  forget(): { readonly offset: number; readonly seq: number } | null {
    const [first] = this.#changes
    this.#op = null
    this.#changes = []
    this.#bytes = 0
    return first === undefined ? null : { offset: this.#start, seq: first.seq }
  }

  /** Closes the open batch, if there is one. */
  flush(): readonly RowBatch[] {
    if (this.#op === null) return NONE
    const batch = { op: this.#op, changes: this.#changes, start: this.#start, end: this.#end }
    this.#op = null
    this.#changes = []
    this.#bytes = 0
    return [batch]
  }
}
