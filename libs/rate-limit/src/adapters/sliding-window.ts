/**
 * Counts the permits of one limit that were granted in the last stretch of time. A permit granted at t may be
 * used until t + lease life, so it counts until t + window + lease life. Then no window of the configured
 * length holds more uses than the limit, wherever it starts.
 */

/**
 * Permits granted at nearly the same time. An entry belongs to its window. Leases keep it only to give
 * permits back.
 */
export interface GrantEntry {
  firstMs: number
  /** Time of the last grant in it. Its life counts from there. */
  lastMs: number
  permits: number
  expired: boolean
  /** Its state in the file, see limits-file.ts. */
  stored: { rowId: number | bigint; permits: number; untilMs: number } | null
}

/**
 * Up to this limit every grant is an entry of its own and expires to the millisecond. Beyond it, grants
 * within 1/256 of the window share an entry that expires with the last of them. So memory stays small, and at
 * most 0.4 % of the limit is lost.
 */
const EXACT_UP_TO = 256
const GRAINS = 256

export class SlidingWindow {
  readonly windowMs: number
  readonly spanMs: number
  /** When a request last came with this window among its limits, and the limit that it had then. */
  wantedMs = 0
  limit = 1
  #entries: GrantEntry[] = []
  #head = 0
  #total = 0
  #emptied = 0

  constructor(windowMs: number, leaseLifeMs: number) {
    this.windowMs = windowMs
    this.spanMs = windowMs + leaseLifeMs
  }

  /** Permits that count now. */
  total(nowMs: number): number {
    for (;;) {
      const oldest = this.#entries[this.#head]
      if (oldest === undefined || oldest.lastMs + this.spanMs > nowMs) break
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

  /** Milliseconds until at least one permit below the limit is free; 0 if one is. */
  waitMs(nowMs: number, limit: number): number {
    let left = this.total(nowMs)
    for (let at = this.#head; left >= limit; at += 1) {
      const entry = this.#entries[at]
      if (entry === undefined) return this.spanMs
      left -= entry.permits
      if (left < limit) return Math.max(entry.lastMs + this.spanMs - nowMs, 0)
    }
    return 0
  }

  /** Width of an entry. */
  get grainMs(): number {
    return this.limit <= EXACT_UP_TO ? 0 : this.windowMs / GRAINS
  }

  grant(nowMs: number, permits: number): GrantEntry {
    this.#total += permits
    const last = this.#entries.at(-1)
    if (last !== undefined && !last.expired && nowMs - last.firstMs < this.grainMs) {
      if (last.permits === 0) this.#emptied -= 1
      last.lastMs = Math.max(last.lastMs, nowMs)
      last.permits += permits
      return last
    }
    // An entry never expires before an older one, even if the clock was set back.
    const lastMs = Math.max(nowMs, last?.lastMs ?? nowMs)
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
    // Otherwise a caller that takes and gives back all day would fill a long window with empty entries.
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

  /** The entries that still count, oldest first. */
  entries(nowMs: number): readonly GrantEntry[] {
    this.total(nowMs)
    return this.#entries.slice(this.#head)
  }
}
