/**
 * Syncs whose runs end the process that runs them (PROTOCOL.md §11). What is at fault is seen by nobody,
 * since the process is gone. So deaths are counted for each run that a process was in the midst of, detecting
 * or publishing. A sync with two in a row is parked: its runs begin after pauses that grow, and one at a
 * time.
 *
 * The event of a run that begins counts a death beforehand. A later event takes that back, as soon as the
 * process is through the dangerous part of the run, or lets go of it in good order.
 */
import { INTERRUPTED, type RunState } from './run-events.ts'
import type { AtWork, SyncLife } from './sync-life.ts'

const DEATHS_THAT_PARK = 2
/** Short, since whoever kills a process twice mostly means the process. */
const FIRST_PAUSE_MS = 5_000
const PAUSE_GROWS_BY = 4
const LONGEST_PAUSE_MS = 3_600_000

/** True for a sync that may be at fault for the deaths of processes. */
export function isParked({ deaths }: Pick<SyncLife, 'deaths'>): boolean {
  return deaths >= DEATHS_THAT_PARK
}

/**
 * When the next run of a parked sync may begin, in ms since 1970; null where it may begin at once. An end
 * that is still to come says nothing: a clock was set back, or somebody has forged it.
 */
export function parkedUntil(
  { deaths, lastEndedAt }: Pick<SyncLife, 'deaths' | 'lastEndedAt'>,
  at: number,
): number | null {
  if (!isParked({ deaths }) || lastEndedAt === null || lastEndedAt > at) return null
  const until = lastEndedAt + pauseMs(deaths)
  return until > at ? until : null
}

function pauseMs(deaths: number): number {
  const grown = PAUSE_GROWS_BY ** Math.min(deaths - DEATHS_THAT_PARK, 30)
  return Math.min(FIRST_PAUSE_MS * grown, LONGEST_PAUSE_MS)
}

/** The life of a sync whose run at work was left by this same process, which has not died. */
export function withoutDeath(life: SyncLife): SyncLife {
  const { atWork } = life
  if (atWork === null || !isInTheMidst(atWork.run)) return life
  const deaths = deathsWithout(atWork.run)
  return { ...life, deaths, atWork: { ...atWork, run: { ...atWork.run, deaths } } }
}

/** The deaths that were counted before this run began. */
export function deathsWithout({ deaths }: Pick<RunState, 'deaths'>): number {
  return Math.max(0, (deaths ?? 0) - 1)
}

function isInTheMidst({ status, complete }: RunState): boolean {
  return status === 'running' && !complete
}

/** A run that comes to an end of its own ends the count. */
function deathsAtEnd({ run, phase, isLeft, isSealed }: AtWork, ended: RunState): number {
  const deaths = run.deaths ?? 0
  if (phase === 'taken' || (isLeft && (phase === 'lost' || isSealed))) return deaths
  return ended.cancelling ? deathsWithout(run) : 0
}

/** The end of the run at work, with what it says of deaths. */
export function endCounted(atWork: AtWork, end: RunState): RunState {
  const deaths = deathsAtEnd(atWork, end)
  const isDue = end.error === INTERRUPTED && isParked({ deaths })
  return { ...end, deaths, error: isDue ? `${INTERRUPTED}; ${parkedText(deaths)}` : end.error }
}

/** What people who wait for a run of a parked sync are told. */
export function parkedNotice(deaths: number, until: number): string {
  return `${parkedText(deaths)}: this run begins after ${new Date(until).toISOString()}`
}

/** Why a sync is parked. */
export function parkedText(deaths: number): string {
  return `the sync is parked, since ${deaths} processes in a row died in the midst of its runs`
}
