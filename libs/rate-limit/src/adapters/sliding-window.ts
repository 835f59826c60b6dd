/**
 * Counts the permits of one limit that may have been used in the last window of time. A permit counts until a
 * window has passed since the last moment at which it may be used. So no window of the configured length,
 * wherever it starts, has more uses than the limit.
 */

/**
 * Permits that were granted at nearly the same time. An entry belongs to its window. Leases keep it only to
 * give permits back.
 */
export interface GrantEntry {
  firstMs: number
  /** The last moment at which one of the permits may be used. */
  lastMs: number
  permits: number
  expired: boolean
  /** The row of the file with this entry; null if the file does not have it. */
  stored: StoredRow | null
}

/** A row of the file, see limits-file.ts, with the sum of its entries. */
export interface StoredRow {
  readonly rowId: number | bigint
  permits: number
  untilMs: number
  readonly entries: GrantEntry[]
  /** True once it was deleted from the file. Its entries have no row then. */
  isGone: boolean
}

/**
 * Up to this limit every grant is an entry of its own and expires to the millisecond. Beyond it, grants
 * within 1/256 of the window share an entry, which expires with the last of them. So memory stays small, at
 * the cost of at most 0.4 % of the limit.
 */
const EXACT_UP_TO = 256
const GRAINS = 256

export class SlidingWindow {
  readonly windowMs: number
  /** The time at which a request last came with this window among its limits. */
  wantedMs = 0
  /** The limit of the last request. */
  limit = 1
  #entries: GrantEntry[] = []
  #head = 0
  #total = 0
  #emptied = 0

  constructor(windowMs: number) {
    this.windowMs = windowMs
  }

  /** Returns the number of permits that count now. */
  total(nowMs: number): number {
    for (;;) {
      const oldest = this.#entries[this.#head]
      if (oldest === undefined || oldest.lastMs + this.windowMs > nowMs) break
      oldest.expired = true
      if (oldest.permits === 0) this.#emptied -= 1
      this.#total -= oldest.permits
      this.#head += 1
    }
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries.splice(0, this.#head)
      this.#head = 0
    }
    return this.#total
  }

  /** Returns the milliseconds until at least one permit below the limit is free; 0 if one is. */
  waitMs(nowMs: number, limit: number): number {
    let left = this.total(nowMs)
    for (let at = this.#head; left >= limit; at += 1) {
      const entry = this.#entries[at]
      if (entry === undefined) return this.windowMs
      left -= entry.permits
      if (left < limit) return Math.max(entry.lastMs + this.windowMs - nowMs, 0)
    }
    return 0
  }

  /** The span of time that shares an entry. */
  get grainMs(): number {
    return this.limit <= EXACT_UP_TO ? 0 : this.windowMs / GRAINS
  }

  /** Adds permits that may be used until `usableUntilMs`. */
  grant(permits: number, at: { readonly nowMs: number; readonly usableUntilMs: number }): GrantEntry {
    const { nowMs, usableUntilMs } = at
    this.#total += permits
    const last = this.#entries.at(-1)
    if (last !== undefined && !last.expired && nowMs - last.firstMs < this.grainMs) {
      if (last.permits === 0) this.#emptied -= 1
      last.lastMs = Math.max(last.lastMs, usableUntilMs)
      last.permits += permits
      return last
    }
    // An entry never expires before an older one, even if the clock was set back.
    const lastMs = Math.max(usableUntilMs, last?.lastMs ?? usableUntilMs)
    const entry = { firstMs: nowMs, lastMs, permits, expired: false, stored: null }
    this.#entries.push(entry)
    return entry
  }

  giveBack(entry: GrantEntry, permits: number): void {
    const given = Math.min(permits, entry.permits)
    entry.permits -= given
    if (entry.expired) return
    this.#total -= given
    if (given === 0 || entry.permits > 0) return
    this.#emptied += 1
    // A caller that takes and gives back all day would fill a long window with empty entries otherwise.
    if (this.#emptied < 64 || this.#emptied * 2 < this.#entries.length - this.#head) return
    this.#entries = this.#entries.slice(this.#head).filter(each => each.permits > 0)
    this.#head = 0
    this.#emptied = 0
  }

  /**
   * Takes over grants from before this window was known: from a file, or from another window of the same
   * budget.
   */
  seed(entries: readonly GrantEntry[]): void {
    for (const entry of entries) {
      this.#entries.push(entry)
      this.#total += entry.permits
    }
  }

  /** Returns the entries that still count, oldest first. */
  entries(nowMs: number): readonly GrantEntry[] {
    this.total(nowMs)
    return this.#entries.slice(this.#head)
  }
}
