/**
 * The removal guard of a stream: what was removed in the last ten minutes counts together (R6). It lives as
 * long as the process looks after the sync, since a run may end in between.
 */
import type { SyncSpec } from '@sluice/contracts/resources'
import { needsApproval } from '@sluice/domain/held/removal-guard'

const WINDOW_MS = 600_000

export class RemovalWindow {
  #removed: { readonly at: number; readonly rows: number }[] = []

  /** Rows that were removed within the window. */
  count(at: number): number {
    // After a clock was set back, what it counted in the future goes as well.
    this.#removed = this.#removed.filter(({ at: then }) => at >= then && at - then < WINDOW_MS)
    return this.#removed.reduce((sum, { rows }) => sum + rows, 0)
  }

  add(rows: number, at: number): void {
    const last = this.#removed.at(-1)
    // A second of removals is one entry, so that they take no memory.
    if (last !== undefined && at >= last.at && at - last.at < 1_000)
      this.#removed[this.#removed.length - 1] = { at: last.at, rows: last.rows + rows }
    else this.#removed.push({ at, rows })
  }

  /**
   * True if somebody has to approve so many more removals. `believed`: the rows that are at the destination
   * now.
   */
  exceeds(
    sync: Pick<SyncSpec, 'removalGuard'>,
    of: { readonly removed: number; readonly believed: number; readonly at: number },
  ): boolean {
    const before = this.count(of.at)
    const found = { removed: before + of.removed, rows: before + of.believed, usable: 1, approved: null }
    return of.removed > 0 && needsApproval(sync, found)
  }
}
