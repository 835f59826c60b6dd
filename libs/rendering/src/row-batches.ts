/**
 * Gathers a partition's changes into batches of rows. What a batch holds follows from the changes alone
 * (count, bytes, op, markers), never from a clock or from how they were fetched, so that a renderer that
 * starts anew makes the same batches (PROTOCOL.md §7).
 */
import type { Change } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'

/**
 * A batch ends once its changes have this many bytes in the topic, however few they are: all of it is held,
 * and rendered, at once.
 */
export const BATCH_CEILING_BYTES = 16_000_000

/** A change with its place in `changes`, and its size there. */
export interface SizedChange {
  readonly offset: number
  readonly bytes: number
  readonly change: Change
}

export interface RowBatch {
  readonly op: Op
  readonly changes: readonly Change[]
  /** Offsets in `changes`: from the first row, inclusive, to after the last, exclusive. */
  readonly start: number
  readonly end: number
}

export class RowBatches {
  readonly #sizeOf: (op: Op) => number
  #op: Op | null = null
  #changes: Change[] = []
  #bytes = 0
  #start = 0
  #end = 0

  /** `sizeOf` gives the most rows of a batch of that op. */
  constructor(sizeOf: (op: Op) => number) {
    this.#sizeOf = sizeOf
  }

  /** Adds a row; returns the batches that are complete with that, at most two. */
  add(op: Op, { offset, bytes, change }: SizedChange): readonly RowBatch[] {
    const complete: RowBatch[] = []
    if (this.#op !== null && this.#op !== op) complete.push(...this.flush())
    if (this.#op === null) {
      this.#op = op
      this.#start = offset
    }
    this.#changes.push(change)
    this.#end = offset + 1
    this.#bytes += bytes
    if (this.#changes.length >= this.#sizeOf(op) || this.#bytes >= BATCH_CEILING_BYTES)
      complete.push(...this.flush())
    return complete
  }

  /** Closes the open batch, if there is one. */
  flush(): readonly RowBatch[] {
    if (this.#op === null) return []
    const batch = { op: this.#op, changes: this.#changes, start: this.#start, end: this.#end }
    this.#op = null
    this.#changes = []
    this.#bytes = 0
    return [batch]
  }
}
