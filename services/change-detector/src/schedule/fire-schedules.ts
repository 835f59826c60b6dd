/** Tells the syncs of one partition when they are due (docs/RUNS.md). */
import type { Fired } from '@sluice/contracts/run-records'
import { sleep } from '@sluice/flow/sleep'
import { laterFired } from '@sluice/runs/machine/run-events'
import type { RunsView, SyncRuns } from '@sluice/runs/runs-view'
import { homePartition } from '@sluice/topics/topics'
import { DueSyncs } from './due-syncs.ts'
import type { SyncSchedules } from './sync-schedules.ts'

/** Clocks may be set meanwhile. */
const LONGEST_LOOK_MS = 30_000

/**
 * Calls `fire` for each instant until it is aborted; the view of the runs has caught up before. Of several
 * instants that have passed, only the latest is told.
 */
export async function fireSchedules(
  of: {
    readonly schedules: SyncSchedules
    readonly runs: RunsView
    readonly partition: number
    readonly now: () => number
    readonly fire: (sync: string, fired: Fired) => void
  },
  signal: AbortSignal,
): Promise<void> {
  const { schedules, runs, partition, now, fire } = of
  const dues = new DueSyncs()
  while (!signal.aborted) {
    const seen = schedules.changes.version
    const at = now()
    const own = new Map([...schedules.all].filter(([sync]) => homePartition(sync) === partition))
    dues.keep(own)
    for (const [sync, schedule] of own) {
      const known = runs.of(sync)
      const due = dues.of(sync, schedule, { fired: firedOf(known), now: at })
      // While a run awaits approval, no other takes its place but for somebody who asks.
      if (due !== null && !isHeld(known)) fire(sync, due)
    }
    const leftMs = Math.min(Math.max(0, dues.nextOf(own.keys()) - at), LONGEST_LOOK_MS)
    const over = new AbortController()
    const waits = { signal: AbortSignal.any([signal, over.signal]) }
    const changed = schedules.changes.after(seen, waits).catch(() => undefined)
    await Promise.race([sleep(leftMs, waits), changed]).catch(() => undefined)
    over.abort(new Error('it is looked at again'))
    await changed
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
