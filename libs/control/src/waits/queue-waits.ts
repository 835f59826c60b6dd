/** What a queued run waits for by what its topic tells: its sync is parked, or another run is at work. */
import type { RunEvent } from '@sluice/contracts/records'
import type { Wait } from '@sluice/contracts/run-records'
import { parkedNotice, parkedText, parkedUntil } from '@sluice/runs/machine/parking'
import type { SyncRuns } from '@sluice/runs/runs-view'

/** `now` is in ms since 1970. A run that is not queued waits for neither. */
export function queueWaits(event: RunEvent, { events }: Pick<SyncRuns, 'events'>, now: number): Wait[] {
  if (event.status !== 'queued') return []
  const atWork = [...events.values()].find(({ status }) => status === 'running')
  if (atWork !== undefined) {
    const detail = `run ${atWork.runId} of this sync is under way`
    return [{ kind: 'queued', since: event.queuedAt, until: null, detail }]
  }
  const last = [...events.values()].reduce<RunEvent | null>(laterRun, null)
  const { deaths = 0, endedAt = null } = last ?? {}
  const until = parkedUntil({ deaths: deaths ?? 0, lastEndedAt: endedAt, queued: [event] }, now)
  // Only an owner that parks says so. Embedded, no sync is parked.
  const isTold = until !== null && event.notices.includes(parkedNotice(deaths ?? 0, until))
  if (!isTold) return []
  return [{ kind: 'parked', since: event.queuedAt, until, detail: parkedText(deaths ?? 0) }]
}

/** Most runs have their turn sooner. */
const TURN_WITHIN_MS = 1_000

/** A queued run that nothing else holds up waits for its turn to be compared. */
export function turnWaits({ status, queuedAt }: RunEvent, now: number): Wait[] {
  if (status !== 'queued' || now - queuedAt < TURN_WITHIN_MS) return []
  const detail = 'the change-detector reads what was delivered so far, or compares other syncs first'
  return [{ kind: 'queued', since: queuedAt, until: null, detail }]
}

function laterRun(last: RunEvent | null, event: RunEvent): RunEvent | null {
  return event.run !== null && event.run > (last?.run ?? 0) ? event : last
}
