interface Entry {
  readonly offset: number
  finished: boolean
}

/**
 * Turns completions in any order into the position that is safe to go on from: the lowest offset that is not
 * finished.
 *
 *     watermark.start(7); watermark.start(8); watermark.start(11)
 *     watermark.finish(8)   // position 7: 7 is still under way
 *     watermark.finish(7)   // position 11
 *     watermark.finish(11)  // position 12
 *
 * Offsets are started in rising order, with gaps where the log has some. `start` and `finish` take amortised
 * constant time; memory grows with the offsets between the position and the newest.
 */
export class OffsetWatermark {
  /** Unfinished and finished offsets in order, from `#head` on. */
  #entries: (Entry | undefined)[] = []
  #head = 0
  #byOffset = new Map<number, Entry>()
  #next: number

  /** Every offset below `next` counts as finished. */
  constructor(next: number) {
    this.#next = next
  }

  /** The lowest offset that is not finished: it is under way or not started yet. */
  get position(): number {
    return this.#entries[this.#head]?.offset ?? this.#next
  }

  /** The number of offsets that are started and not finished. */
  get underWay(): number {
    return this.#byOffset.size
  }

  /** True while the offset is started and not finished. */
  isUnderWay(offset: number): boolean {
    return this.#byOffset.has(offset)
  }

  /** Starts an offset. Throws if it is below one that was started or skipped before. */
  start(offset: number): void {
    if (offset < this.#next) {
      throw new Error(`offset ${offset} was started after ${this.#next - 1}; they must rise`)
    }
    const entry = { offset, finished: false }
    this.#entries.push(entry)
    this.#byOffset.set(offset, entry)
    this.#next = offset + 1
  }

  /**
   * Skips offsets without work, so that the position may go up to `next`. A `next` that is passed already
   * changes nothing.
   */
  skipTo(next: number): void {
    this.#next = Math.max(this.#next, next)
  }

  /** Marks an offset as done; returns true if the position has moved. Throws if it is not under way. */
  finish(offset: number): boolean {
    const entry = this.#byOffset.get(offset)
    if (entry === undefined) throw new Error(`offset ${offset} is finished but was not under way`)
    this.#byOffset.delete(offset)
    entry.finished = true
    if (this.#entries[this.#head] !== entry) return false
    this.#dropFinished()
    return true
  }

  #dropFinished(): void {
    while (this.#entries[this.#head]?.finished === true) {
      this.#entries[this.#head] = undefined
      this.#head += 1
    }
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }
}
