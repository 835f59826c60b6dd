/**
 * Gathers a partition's changes into batches of rows. What a batch holds follows from the changes alone
 * (count, op, markers), never from a clock or from how they were fetched, so that a renderer that starts anew
 * makes the same batches (PROTOCOL.md §7).
 */
import type { Change } from '@sluice/contracts/records'
import type { Op } from '@sluice/contracts/state'

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
  #start = 0
  #end = 0

  /** `sizeOf` gives the most rows of a batch of that op. */
  constructor(sizeOf: (op: Op) => number) {
    this.#sizeOf = sizeOf
  }

  /** Adds a row; returns the batches that are complete with that, at most two. */
  add(op: Op, offset: number, change: Change): readonly RowBatch[] {
    const complete: RowBatch[] = []
    if (this.#op !== null && this.#op !== op) complete.push(...this.flush())
    if (this.#op === null) {
      this.#op = op
      this.#start = offset
    }
    this.#changes.push(change)
    this.#end = offset + 1
    if (this.#changes.length >= this.#sizeOf(op)) complete.push(...this.flush())
    return complete
  }

  /** Closes the open batch, if there is one. */
  flush(): readonly RowBatch[] {
    if (this.#op === null) return []
    const batch = { op: this.#op, changes: this.#changes, start: this.#start, end: this.#end }
    this.#op = null
    this.#changes = []
    return [batch]
  }
}
