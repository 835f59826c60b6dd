/**
 * The removal guard of a stream: what was removed in the last ten minutes counts together (R6). A run may end
 * in between, and a process may die, so a run begins with what the state by key knows of that time.
 */
import type { SyncSpec } from '@sluice/contracts/resources'
import type { Removed } from '@sluice/delivered-state/stream-port'
import { needsApproval } from '@sluice/domain/held/removal-guard'

export const WINDOW_MS = 600_000

interface Counted {
  readonly at: number
  readonly rows: number
  /** The rows that were at the destination before. */
  readonly before: number
}

/** Removals that a run is about to publish. */
export interface NewRemovals {
  readonly removed: number
  /** The rows that may be at the destination. Those whose removal is in flight are among them. */
  readonly believed: number
  /** The usable rows that a comparison has read. Of entries of the log it is at least one. */
  readonly usable: number
  readonly at: number
}

export class RemovalWindow {
  #counted: Counted[]

  /**
   * `known`: removals of earlier runs within the window, the oldest first. So many of them as somebody has
   * `approved` do not count.
   */
  constructor(known: readonly Removed[], of: { readonly believed: number; readonly approved: number }) {
    let { believed: before, approved } = of
    const counted = known.toReversed().map(({ at, removed, absent }): Counted => {
      before += absent
      const rows = Math.max(0, removed - approved)
      approved -= removed - rows
      return { at, rows, before }
    })
    this.#counted = counted.toReversed()
  }

  /** True if somebody has to approve the removals. */
  exceeds(sync: Pick<SyncSpec, 'removalGuard'>, { removed, believed, usable, at }: NewRemovals): boolean {
    // After a clock was set back, what it counted in the future goes as well.
    this.#counted = this.#counted.filter(({ at: then }) => at >= then && at - then < WINDOW_MS)
    const all = this.#counted.reduce((sum, { rows }) => sum + rows, removed)
    const rows = this.#counted.reduce((most, { before }) => Math.max(most, before), believed)
    return removed > 0 && needsApproval(sync, { removed: all, rows, usable, approved: null })
  }

  /** Counts the removals. Returns false, and counts nothing, if somebody has to approve them. */
  passes(sync: Pick<SyncSpec, 'removalGuard'>, found: NewRemovals): boolean {
    if (this.exceeds(sync, found)) return false
    const { removed, believed, at } = found
    const last = this.#counted.at(-1)
    // A second of removals is one entry, so that they take no memory.
    if (last !== undefined && at - last.at < 1_000)
      this.#counted[this.#counted.length - 1] = { ...last, rows: last.rows + removed }
    else this.#counted.push({ at, rows: removed, before: believed })
    return true
  }
}
