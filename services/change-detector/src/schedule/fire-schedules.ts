/** Fires the schedules of the syncs of one partition (docs/RUNS.md). */
import type { Fired } from '@sluice/contracts/records'
import { sleep } from '@sluice/flow/sleep'
import type { Logger } from '@sluice/runtime/logger'
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import { schedulePause } from '@sluice/runs/machine/deaths'
import { laterFired } from '@sluice/runs/machine/run-events'
import type { RunsView, SyncRuns } from '@sluice/runs/runs-view'
import { homePartition } from '@sluice/topics/topics'
import { firedUntil } from '@sluice/runs/machine/take-due'
import { nextOfStream } from '@sluice/runs/schedule/continuous'
import type { InstantSchedule, SyncSchedules, SyncSchedule } from './sync-schedules.ts'

/** An instant that lies further ahead comes from a clock that was wrong. */
const WRONG_CLOCK_MS = 3_600_000

function hasInstants(schedule: SyncSchedule): schedule is InstantSchedule {
  return schedule.instants !== null
}

interface Reported {
  readonly by: string
  /** Every instant up to this one was reported. */
  readonly until: number
  readonly next: number | null
}

/**
 * Finds the instants that are due. It looks at no clock. An instant that was missed while no detector was up,
 * or while the sync was paused, is due once.
 *
 * Each instant is reported once. The sync's owner decides what becomes of it, since the owner knows for
 * certain which instants have had their run. The topic `runs` has the runs of a dead owner, and the next
 * detector begins from these.
 */
export class DueSyncs {
  readonly #reported = new Map<string, Reported>()

  /**
   * Reports the latest instant that is due by `now`; null if there is none, or it was reported before.
   * `fired` is how far the schedule has started runs, as the topic `runs` has it.
   */
  report(
    sync: string,
    { instants, by, since }: InstantSchedule,
    { fired, now }: { fired: Fired | null; now: number },
  ): Fired | null {
    const known = this.#reported.get(sync)
    const reported = known?.by === by && known.until <= now + WRONG_CLOCK_MS ? known : null
    if (reported !== null && (reported.next === null || reported.next > now)) return null
    const begin =
      reported?.until ?? (fired?.by === by ? (firedUntil({ fired }, now) ?? now) : Math.min(since, now))
    const at = instants.latest(begin, now)
    const next = instants.next(Math.max(begin, now))
    this.#reported.set(sync, { by, until: at ?? begin, next })
    return at === null ? null : { at, by, next }
  }

  /** Returns the earliest time at which one of the syncs is due; Infinity if none is. */
  nextOf(syncs: Iterable<string>): number {
    let next = Infinity
    for (const sync of syncs) next = Math.min(next, this.#reported.get(sync)?.next ?? Infinity)
    return next
  }

  /** Forgets syncs that have no schedule any more. */
  keep(syncs: ReadonlyMap<string, unknown>): void {
    for (const sync of this.#reported.keys()) if (!syncs.has(sync)) this.#reported.delete(sync)
  }
}

/** The clock is looked at this often, at least, since somebody may set it. */
const MAX_LOOK_MS = 30_000
/** The ends of runs are looked at this often, at most. Events of all syncs come in between. */
const MIN_LOOK_MS = 50

/**
 * Finds the streams whose next run may begin. It looks at no clock. An instant counts as answered once `runs`
 * has it. Without an answer, another one follows after a while: the owner may have died, or a run was held
 * meanwhile.
 */
export class DueStreams {
  readonly #reported = new Map<string, Fired>()
  readonly #next = new Map<string, number>()

  /** Returns null while a run of the sync goes on, or its pause is not over. */
  report(
    sync: string,
    { by }: Pick<SyncSchedule, 'by'>,
    known: SyncRuns | undefined,
    now: number,
  ): Fired | null {
    const next = nextOfStream(known?.events.values() ?? [], now)
    if (next === null) this.#reported.delete(sync)
    const reported = this.#reported.get(sync)
    const fired = firedUntil({ fired: firedOf(known) }, now) ?? 0
    const isUnanswered = reported !== undefined && fired < reported.at && reported.at <= now
    const due = isUnanswered ? Math.max(next ?? 0, reported.at + MAX_LOOK_MS) : next
    if (due === null || due > now) {
      this.#next.set(sync, due ?? Infinity)
      return null
    }
    const at = Math.max(now, fired + 1)
    this.#reported.set(sync, { at, by, next: null })
    this.#next.set(sync, now + MAX_LOOK_MS)
    return { at, by, next: null }
  }

  nextOf(syncs: Iterable<string>): number {
    let next = Infinity
    for (const sync of syncs) next = Math.min(next, this.#next.get(sync) ?? Infinity)
    return next
  }

  /** Forgets syncs that are no streams any more. */
  keep(syncs: ReadonlyMap<string, SyncSchedule>): void {
    for (const sync of this.#next.keys())
      if (syncs.get(sync)?.instants !== null) {
        this.#next.delete(sync)
        this.#reported.delete(sync)
      }
  }

  get size(): number {
    return this.#next.size
  }
}

interface FireOptions {
  readonly schedules: SyncSchedules
  readonly runs: Pick<RunsView, 'of' | 'changes'>
  readonly partition: number
  readonly now: () => number
  readonly fire: (sync: string, fired: Fired) => void
  readonly stageMetrics?: Pick<StageMetrics, 'parked'> | undefined
  readonly logger: Pick<Logger, 'error'>
}

/**
 * Calls `fire` for each instant until the signal aborts. The view of the runs has to be caught up before the
 * call. If several instants have passed, it fires only the latest. If processes died at a sync, the schedule
 * of the sync pauses, and its instants fire after the pause (PROTOCOL.md §11).
 */
export async function fireSchedules(options: FireOptions, signal: AbortSignal): Promise<void> {
  const { schedules, runs, partition, now, fire } = options
  const dues = new DueSyncs()
  const streams = new DueStreams()
  using pauses = new Pauses(options)
  while (!signal.aborted) {
    const seen = schedules.changes.version
    const seenRuns = runs.changes.version
    const at = now()
    const own = new Map([...schedules.all].filter(([sync]) => homePartition(sync) === partition))
    dues.keep(own)
    streams.keep(own)
    pauses.look(own, at)
    for (const [sync, schedule] of own) {
      if (pauses.has(sync)) continue
      const known = runs.of(sync)
      const due = hasInstants(schedule)
        ? dues.report(sync, schedule, { fired: firedOf(known), now: at })
        : streams.report(sync, schedule, known, at)
      // While a run awaits approval, the schedule starts none: another run would take its place.
      if (due !== null && !isHeld(known)) fire(sync, due)
    }
    const going = [...own.keys()].filter(sync => !pauses.has(sync))
    const next = Math.min(dues.nextOf(going), streams.nextOf(going), pauses.next)
    const leftMs = Math.min(Math.max(0, next - at), MAX_LOOK_MS)
    const over = new AbortController()
    const waits = { signal: AbortSignal.any([signal, over.signal]) }
    const changed = schedules.changes.after(seen, waits).catch(() => undefined)
    const ended = streams.size === 0 ? null : runs.changes.after(seenRuns, waits).catch(() => undefined)
    await Promise.race([sleep(leftMs, waits), changed, ...(ended === null ? [] : [ended])]).catch(
      () => undefined,
    )
    over.abort(new Error('it is looked at again'))
    await Promise.all([changed, ended])
    if (ended !== null) await sleep(MIN_LOOK_MS, { signal }).catch(() => undefined)
  }
}

/** The syncs whose schedules pause. A metric shows them, and the log says why, once for each pause. */
class Pauses implements Disposable {
  readonly #options: FireOptions
  #until = new Map<string, number | null>()

  constructor(options: FireOptions) {
    this.#options = options
  }

  look(syncs: ReadonlyMap<string, unknown>, at: number): void {
    const { runs, stageMetrics, logger } = this.#options
    const before = this.#until
    this.#until = new Map()
    for (const sync of syncs.keys()) {
      const pause = schedulePause(runs.of(sync)?.events.values() ?? [], at)
      if (pause === null) continue
      const { deaths, until } = pause
      this.#until.set(sync, until)
      stageMetrics?.parked(sync, deaths)
      if (until === null || before.get(sync) === until) continue
      const facts = { sync, deaths, until: new Date(until).toISOString() }
      logger.error(facts, 'the schedule of the sync pauses, since processes died at work on it')
    }
    for (const sync of before.keys()) if (!this.#until.has(sync)) stageMetrics?.parked(sync, 0)
  }

  has(sync: string): boolean {
    return this.#until.has(sync)
  }

  /** The time at which the first pause ends; Infinity if that is not known. */
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
