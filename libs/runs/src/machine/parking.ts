/**
 * Syncs whose runs end the process that runs them (PROTOCOL.md §11). Nobody sees what is at fault, since the
 * process is gone. So deaths are counted for each run that a detector was in the midst of, detecting or
 * publishing, and the reports of the partitions say how many renderers and deliveries died of their rows. A
 * sync with two in a row is parked: its schedule starts runs after pauses that grow, and its runs go one at a
 * time in a process. After three, no run takes the place of one that was cut.
 *
 * The event of a run that begins counts a death beforehand. A later event takes that back, as soon as the
 * process is through the dangerous part of the run, or lets go of it in good order.
 */
import type { RunEvent } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { INTERRUPTED, type RunState } from './run-events.ts'
import type { AtWork, SyncLife } from './sync-life.ts'

const DEATHS_THAT_PARK = 2
const DEATHS_THAT_END = 3
/**
 * Fewer deaths in a partition have cost no row. Somebody may have killed its processes, which were healthy.
 */
const DEATHS_THAT_COST = 3
const MAX_DEATHS = 1_000
/** The pause is short at first, since somebody who kills a process twice mostly means the process. */
const FIRST_PAUSE_MS = 5_000
const PAUSE_GROWS_BY = 4
const MAX_PAUSE_MS = 3_600_000

/** True for a sync that may be at fault for the deaths of processes. */
export function isParked({ deaths }: Pick<SyncLife, 'deaths'>): boolean {
  return deaths >= DEATHS_THAT_PARK
}

/** True where a run that was cut is not run again by itself, since that may end processes for ever. */
export function isGivenUp({ deaths }: Pick<RunState, 'deaths'>): boolean {
  return (deaths ?? 0) >= DEATHS_THAT_END
}

/** Why the schedule of a sync starts no run now. */
export interface Pause {
  readonly deaths: number
  /** In ms since 1970; null while the sync has a run at work. */
  readonly until: number | null
}

/**
 * The pause of a sync's schedule, by the last of the sync's runs that began; null where it starts runs. A run
 * that somebody asks for waits for no pause: that person may have mended what was at fault.
 */
export function schedulePause(events: Iterable<RunEvent>, at: number): Pause | null {
  let last: RunEvent | null = null
  for (const event of events) if ((event.run ?? 0) > (last?.run ?? 0)) last = event
  const deaths = last?.deaths ?? 0
  if (last === null || !isParked({ deaths })) return null
  if (!isEnded(last.status)) return last.status === 'running' ? { deaths, until: null } : null
  const { endedAt } = last
  // An end that is still to come says nothing: a clock was set back, or somebody has forged it.
  if (endedAt === null || endedAt > at) return null
  const until = endedAt + pauseMs(deaths)
  return until > at ? { deaths, until } : null
}

function pauseMs(deaths: number): number {
  const grown = PAUSE_GROWS_BY ** Math.min(deaths - DEATHS_THAT_PARK, 30)
  return Math.min(FIRST_PAUSE_MS * grown, MAX_PAUSE_MS)
}

/**
 * The life of a sync whose run at work was left by this same process, which has not died. So another run
 * takes its place, whatever died before.
 */
export function withoutDeath(life: SyncLife): SyncLife {
  const { atWork } = life
  if (atWork === null || !isInTheMidst(atWork.run)) return life
  const deaths = Math.min(deathsWithout(atWork.run), DEATHS_THAT_END - 1)
  return { ...life, deaths, atWork: { ...atWork, run: { ...atWork.run, deaths } } }
}

/** The deaths before a run that its detector is through with, or lives to say so. */
export function beforeRun(run: RunState): number {
  return isInTheMidst(run) ? deathsWithout(run) : (run.deaths ?? 0)
}

/** The deaths that were counted before this run began. */
export function deathsWithout({ deaths }: Pick<RunState, 'deaths'>): number {
  return Math.max(0, (deaths ?? 0) - 1)
}

function isInTheMidst({ status, complete }: RunState): boolean {
  return status === 'running' && !complete
}

/** A run that comes to an end of its own, and at whose rows nobody died, ends the count. */
function deathsAtEnd({ run, phase, reports, isLeft, isSealed }: AtWork, ended: RunState): number {
  const deaths = run.deaths ?? 0
  const costly = reports.map(report => report.deaths ?? 0).filter(died => died >= DEATHS_THAT_COST)
  const died = costly.reduce((sum, each) => sum + each, 0)
  if (died > 0 && ended.status !== 'success')
    return Math.min(MAX_DEATHS, (isLeft ? deaths : beforeRun(run)) + died)
  if (phase === 'taken' || (isLeft && (phase === 'lost' || isSealed))) return deaths
  return ended.cancelling && isInTheMidst(run) ? deathsWithout(run) : 0
}

/** The end of the run at work, with what it says of deaths. */
export function endCounted(atWork: AtWork, end: RunState): RunState {
  const deaths = deathsAtEnd(atWork, end)
  const isDue = end.error === INTERRUPTED && isParked({ deaths })
  const then = isGivenUp(atWork.run) ? ', and no run takes the place of this one' : ''
  return { ...end, deaths, error: isDue ? `${INTERRUPTED}; ${parkedText(deaths)}${then}` : end.error }
}

function parkedText(deaths: number): string {
  return `the sync is parked, since ${deaths} processes in a row died at work on it`
}
