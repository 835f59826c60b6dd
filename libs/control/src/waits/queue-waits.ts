/** The waits of a queued run that its topic shows. */
import type { RunEvent, Wait } from '@sluice/contracts/records'
import type { SyncRuns } from '@sluice/runs/runs-view'

/** A queued run waits for the run of its sync that is at work. */
export function queueWaits(event: RunEvent, { events }: Pick<SyncRuns, 'events'>): Wait[] {
  if (event.status !== 'queued') return []
  const atWork = [...events.values()].find(({ status }) => status === 'running')
  if (atWork === undefined) return []
  const detail = `run ${atWork.runId} of this sync is under way`
  return [{ kind: 'queued', since: event.queuedAt, until: null, detail }]
}

/** Most runs have their turn sooner. Then no wait is shown. */
const SHOWN_AFTER_MS = 1_000

/** A queued run that nothing else holds up waits for its turn to be compared; `now` is in ms since 1970. */
export function turnWaits({ status, queuedAt }: RunEvent, now: number): Wait[] {
  if (status !== 'queued' || now - queuedAt < SHOWN_AFTER_MS) return []
  const detail = 'the change-detector reads what was delivered so far, or compares other syncs first'
  return [{ kind: 'queued', since: queuedAt, until: null, detail }]
}
