/** The removal guard: a run that would remove too many rows waits for approval (R6). */
import type { SyncSpec } from '@sluice/contracts/resources'

const DEFAULT_GUARD = { share: 0.5, rows: 100 }

/**
 * True if a run that would remove `removed` of the `rows` at the destination is to be held: it exceeds the
 * share and the number that the sync allows, and the number that somebody has approved. Only rows that a
 * trigger removes count. By default, any removal is held if the model has no usable row: none, or only
 * invalid ones.
 */
export function needsApproval(
  { removalGuard }: Pick<SyncSpec, 'removalGuard'>,
  found: {
    readonly removed: number
    readonly rows: number
    readonly usable: number
    readonly approved: number | null
  },
): boolean {
  const { removed, rows, usable, approved } = found
  const guard = removalGuard ?? DEFAULT_GUARD
  if (guard === false || (approved !== null && removed <= approved)) return false
  if (removalGuard === undefined && usable === 0 && removed > 0) return true
  return removed > guard.rows && removed > rows * guard.share
}
