/**
 * Counts deaths: processes that ended while they worked on a run of a sync (PROTOCOL.md §11). A dead process
 * cannot say why it died. So a death is counted for each run at which a detector was detecting or publishing,
 * and the reports of the partitions count the renderers and deliveries that died at their rows. After two
 * deaths in a row the sync is suspended: its schedule pauses for ever longer, and a process runs one
 * suspended sync at a time. After three, no run replaces an interrupted one.
 *
 * The event of a run that begins counts a death in advance. A later event takes it back as soon as the
 * process has survived the dangerous part of the run, or stops in good order.
 */
import type { RunEvent } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { INTERRUPTED, type RunState } from './run-events.ts'
import { lacksChanges, type AtWork, type SyncLife } from './sync-life.ts'

const DEATHS_THAT_SUSPEND = 2
const DEATHS_THAT_END = 3
/** With fewer deaths in a partition, no row was given up: somebody may have killed healthy processes. */
const DEATHS_THAT_COST = 3
const MAX_DEATHS = 1_000
/**
 * The pause is short at first, since a person who kills a process twice seldom does so because of the sync.
 */
const FIRST_PAUSE_MS = 5_000
const PAUSE_GROWS_BY = 4
const MAX_PAUSE_MS = 3_600_000

/** True for a sync that is suspended since processes died at its runs. */
export function isSuspendedByDeaths({ deaths }: Pick<SyncLife, 'deaths'>): boolean {
  return deaths >= DEATHS_THAT_SUSPEND
}

/** True for an interrupted run that no run replaces, since processes might die of it for ever. */
export function isGivenUp({ deaths }: Pick<RunState, 'deaths'>): boolean {
  return (deaths ?? 0) >= DEATHS_THAT_END
}

/** A pause of a sync's schedule, with the number of deaths that caused it. */
export interface Pause {
  readonly deaths: number
  /** In ms since 1970; null while the sync has a run at work. */
  readonly until: number | null
}

/**
 * Returns the pause of a sync's schedule, by the sync's last run; null if the schedule starts runs. A run
 * that somebody asks for waits for no pause: that person may have mended the fault.
 */
export function schedulePause(events: Iterable<RunEvent>, at: number): Pause | null {
  let last: RunEvent | null = null
  for (const event of events) if ((event.run ?? 0) > (last?.run ?? 0)) last = event
  const deaths = last?.deaths ?? 0
  if (last === null || !isSuspendedByDeaths({ deaths })) return null
  if (!isEnded(last.status)) return last.status === 'running' ? { deaths, until: null } : null
  const { endedAt } = last
  // An end in the future counts for nothing: a clock was set back, or somebody forged the event.
  if (endedAt === null || endedAt > at) return null
  const until = endedAt + pauseMs(deaths)
  return until > at ? { deaths, until } : null
}

function pauseMs(deaths: number): number {
  const grown = PAUSE_GROWS_BY ** Math.min(deaths - DEATHS_THAT_SUSPEND, 30)
  return Math.min(FIRST_PAUSE_MS * grown, MAX_PAUSE_MS)
}

/**
 * Takes back the death that was counted for the run at work: this process left the run, and is alive. So
 * another run replaces it, however many processes died before.
 */
export function withoutDeath(life: SyncLife): SyncLife {
  const { atWork } = life
  if (atWork === null || !isInTheMidst(atWork.run)) return life
  const deaths = Math.min(deathsWithout(atWork.run), DEATHS_THAT_END - 1)
  return { ...life, deaths, atWork: { ...atWork, run: { ...atWork.run, deaths } } }
}

/**
 * Returns the deaths before this run: its detector survived, so the death that the run counts for it is left
 * out.
 */
export function deathsBefore(run: RunState): number {
  return isInTheMidst(run) ? deathsWithout(run) : (run.deaths ?? 0)
}

/** Returns the deaths that were counted before this run began, while its event still counts one. */
export function deathsWithout({ deaths }: Pick<RunState, 'deaths'>): number {
  return Math.max(0, (deaths ?? 0) - 1)
}

function isInTheMidst({ status, complete }: RunState): boolean {
  return status === 'running' && !complete
}

/** Returns the deaths at the end of a run: 0 if the run ended by itself, and no process died at its rows. */
function deathsAtEnd(atWork: AtWork, ended: RunState): number {
  const { run, phase, reports, isInterrupted } = atWork
  const deaths = run.deaths ?? 0
  const costly = reports.map(report => report.deaths ?? 0).filter(died => died >= DEATHS_THAT_COST)
  const died = costly.reduce((sum, each) => sum + each, 0)
  if (died > 0 && ended.status !== 'success')
    return Math.min(MAX_DEATHS, (isInterrupted ? deaths : deathsBefore(run)) + died)
  if (phase === 'taken' || lacksChanges(atWork)) return deaths
  return ended.cancelling && isInTheMidst(run) ? deathsWithout(run) : 0
}

/** Adds the deaths to the end of the run at work. */
export function endCounted(atWork: AtWork, end: RunState): RunState {
  const deaths = deathsAtEnd(atWork, end)
  const schedulePauses = end.error === INTERRUPTED && isSuspendedByDeaths({ deaths })
  const then = isGivenUp(atWork.run) ? ', and no run takes the place of this one' : ''
  return {
    ...end,
    deaths,
    error: schedulePauses ? `${INTERRUPTED}; ${deathsText(deaths)}${then}` : end.error,
  }
}

function deathsText(deaths: number): string {
  return `the schedule of the sync pauses, since ${deaths} processes in a row died at work on it`
}
