/**
 * Which syncs are due. What was missed while no detector was up, or while the sync was paused, is due once.
 * Pure but for what it remembers: no clock is looked at.
 *
 * It says of an instant once that it is due. What becomes of it is decided by the sync's owner, who knows for
 * certain which instants have had their run. An owner that dies leaves that in the topic `runs`, from which
 * the next detector begins here.
 */
import type { Fired } from '@sluice/contracts/run-records'
import { firedUntil } from '@sluice/runs/machine/take-due'
import type { SyncSchedule } from './sync-schedules.ts'

/** An end that lies further ahead comes from a clock that was wrong. */
const WRONG_CLOCK_MS = 3_600_000

interface Told {
  readonly by: string
  /** Every instant up to this one was told. */
  readonly until: number
  readonly next: number | null
}

export class DueSyncs {
  readonly #told = new Map<string, Told>()

  /**
   * The latest instant that is due by `now` and was not told; null if there is none. `fired` is what `runs`
   * tells of the sync.
   */
  of(
    sync: string,
    { instants, by, since }: SyncSchedule,
    { fired, now }: { fired: Fired | null; now: number },
  ): Fired | null {
    const known = this.#told.get(sync)
    const told = known?.by === by && known.until <= now + WRONG_CLOCK_MS ? known : null
    if (told !== null && (told.next === null || told.next > now)) return null
    const begin =
      told?.until ?? (fired?.by === by ? (firedUntil({ fired }, now) ?? now) : Math.min(since, now))
    const at = instants.latest(begin, now)
    const next = instants.next(Math.max(begin, now))
    this.#told.set(sync, { by, until: at ?? begin, next })
    return at === null ? null : { at, by, next }
  }

  /** When the first of the syncs is due next; Infinity if none is. */
  nextOf(syncs: Iterable<string>): number {
    let next = Infinity
    for (const sync of syncs) next = Math.min(next, this.#told.get(sync)?.next ?? Infinity)
    return next
  }

  /** Forgets syncs that have no schedule any more. */
  keep(syncs: ReadonlyMap<string, unknown>): void {
    for (const sync of this.#told.keys()) if (!syncs.has(sync)) this.#told.delete(sync)
  }
}
