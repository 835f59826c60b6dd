/** Tells the syncs of one partition when they are due (docs/RUNS.md). */
import type { Fired } from '@sluice/contracts/run-records'
import { sleep } from '@sluice/flow/sleep'
import type { Logger } from '@sluice/runtime/logger'
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import { schedulePause } from '@sluice/runs/machine/parking'
import { laterFired } from '@sluice/runs/machine/run-events'
import type { RunsView, SyncRuns } from '@sluice/runs/runs-view'
import { homePartition } from '@sluice/topics/topics'
import { firedUntil } from '@sluice/runs/machine/take-due'
import type { SyncSchedules, SyncSchedule } from './sync-schedules.ts'

/** An end that lies further ahead comes from a clock that was wrong. */
const WRONG_CLOCK_MS = 3_600_000

interface Told {
  readonly by: string
  /** Every instant up to this one was told. */
  readonly until: number
  readonly next: number | null
}

/**
 * Says which syncs are due. An instant that was missed while no detector was up, or while the sync was
 * paused, is due once. It is pure but for what it remembers: it looks at no clock.
 *
 * It says of an instant once that it is due. The sync's owner decides what becomes of it, since the owner
 * knows for certain which instants have had their run. An owner that dies leaves that in the topic `runs`,
 * from which the next detector begins here.
 */
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

/** Clocks may be set meanwhile. */
const MAX_LOOK_MS = 30_000

/**
 * Calls `fire` for each instant until it is aborted; the view of the runs has caught up before. Of several
 * instants that have passed, only the latest is told. Instants of a sync whose schedule pauses, since
 * processes died at work on it, are told once the pause is over (PROTOCOL.md §11).
 */
export async function fireSchedules(
  of: {
    readonly schedules: SyncSchedules
    readonly runs: RunsView
    readonly partition: number
    readonly now: () => number
    readonly fire: (sync: string, fired: Fired) => void
    readonly stageMetrics?: Pick<StageMetrics, 'parked'> | undefined
    readonly logger: Pick<Logger, 'error'>
  },
  signal: AbortSignal,
): Promise<void> {
  const { schedules, runs, partition, now, fire } = of
  const dues = new DueSyncs()
  using pauses = new Pauses(of)
  while (!signal.aborted) {
    const seen = schedules.changes.version
    const at = now()
    const own = new Map([...schedules.all].filter(([sync]) => homePartition(sync) === partition))
    dues.keep(own)
    pauses.look(own, at)
    for (const [sync, schedule] of own) {
      if (pauses.has(sync)) continue
      const known = runs.of(sync)
      const due = dues.of(sync, schedule, { fired: firedOf(known), now: at })
      // While a run awaits approval, no other takes its place but for somebody who asks.
      if (due !== null && !isHeld(known)) fire(sync, due)
    }
    const next = Math.min(dues.nextOf([...own.keys()].filter(sync => !pauses.has(sync))), pauses.next)
    const leftMs = Math.min(Math.max(0, next - at), MAX_LOOK_MS)
    const over = new AbortController()
    const waits = { signal: AbortSignal.any([signal, over.signal]) }
    const changed = schedules.changes.after(seen, waits).catch(() => undefined)
    await Promise.race([sleep(leftMs, waits), changed]).catch(() => undefined)
    over.abort(new Error('it is looked at again'))
    await changed
  }
}

/** The syncs whose schedules pause. A metric shows them, and the log says why, once for each pause. */
class Pauses implements Disposable {
  readonly #of: Parameters<typeof fireSchedules>[0]
  #until = new Map<string, number | null>()

  constructor(of: Parameters<typeof fireSchedules>[0]) {
    this.#of = of
  }

  look(syncs: ReadonlyMap<string, unknown>, at: number): void {
    const { runs, stageMetrics, logger } = this.#of
    const before = this.#until
    this.#until = new Map()
    for (const sync of syncs.keys()) {
      const pause = schedulePause(runs.of(sync)?.events.values() ?? [], at)
      if (pause === null) continue
      const { deaths, until } = pause
      this.#until.set(sync, until)
      stageMetrics?.parked(sync, deaths)
      if (until === null || before.get(sync) === until) continue
      const what = { sync, deaths, until: new Date(until).toISOString() }
      logger.error(what, 'the sync is parked: its schedule pauses, since processes died at work on it')
    }
    for (const sync of before.keys()) if (!this.#until.has(sync)) stageMetrics?.parked(sync, 0)
  }

  has(sync: string): boolean {
    return this.#until.has(sync)
  }

  /** When the first pause ends; Infinity if that is not known. */
  get next(): number {
    return Math.min(Infinity, ...[...this.#until.values()].filter(until => until !== null))
  }

  [Symbol.dispose](): void {
    this.look(new Map(), 0)
  }
}

function firedOf(runs: SyncRuns | undefined): Fired | null {
  let fired: Fired | null = null
  for (const event of runs?.events.values() ?? []) fired = laterFired(fired, event.fired)
  return fired
}

function isHeld(runs: SyncRuns | undefined): boolean {
  const open = [...(runs?.events.values() ?? [])].map(({ status }) => status)
  return open.includes('held') && !open.includes('queued') && !open.includes('running')
}
