import { expect, it } from 'vitest'
import type { RunEvent } from '@sluice/contracts/records'
import { Notifier } from '@sluice/flow/notifier'
import { NO_STAGE_METRICS } from '@sluice/partition/stage-metrics'
import { instantsOf } from '@sluice/runs/schedule/instants'
import type { RunsView } from '@sluice/runs/runs-view'
import { sampleEvent } from '@sluice/testkit/sample-records'
import { homePartition } from '@sluice/topics/topics'
import { fireSchedules } from './fire-schedules.ts'
import type { SyncSchedules } from './sync-schedules.ts'

const SYNC = 'people'
const NOON = Date.UTC(2026, 5, 15, 12)

/**
 * Returns the runs that one look tells of a sync that runs each minute, and that ended its last run at noon.
 */
async function look(event: Partial<RunEvent>, sinceNoonMs: number): Promise<object> {
  const schedule = { every: 60_000 }
  const instants = instantsOf({ name: SYNC, schedule })
  if (instants === null) throw new Error('a schedule is wanted')
  const by = JSON.stringify(schedule)
  const all = new Map([[SYNC, { instants, by, since: NOON - 600_000 }]])
  const events = new Map([['L', sampleEvent({ runId: 'L', run: 7, endedAt: NOON, ...event })]])
  const [fired, parked, logged]: [string[], number[], string[]] = [[], [], []]
  const stop = new AbortController()
  const told = fireSchedules(
    {
      schedules: { all, changes: new Notifier() } as unknown as SyncSchedules,
      runs: { of: () => ({ events }), changes: new Notifier() } as unknown as RunsView,
      partition: homePartition(SYNC),
      now: () => NOON + sinceNoonMs,
      fire: sync => fired.push(sync),
      stageMetrics: { ...NO_STAGE_METRICS, parked: (_, deaths) => parked.push(deaths) },
      logger: { error: (_: unknown, text?: string) => logged.push(text ?? '') },
    },
    stop.signal,
  )
  stop.abort()
  await told
  return { fired: fired.length, parked, logged: logged.length }
}

it('starts no run of a parked sync before its pause is over, shows that, and starts one then', async () => {
  const failed = { status: 'failed', deaths: 3 } as const
  expect(await look(failed, 19_999)).toEqual({ fired: 0, parked: [3, 0], logged: 1 })
  expect(await look(failed, 20_000)).toEqual({ fired: 1, parked: [], logged: 0 })
  expect(await look({ ...failed, deaths: 1 }, 1)).toEqual({ fired: 1, parked: [], logged: 0 })
})

it('starts no run behind one that is at work on a parked sync', async () => {
  const running = { status: 'running', deaths: 2, endedAt: null } as const
  expect(await look(running, 90_000)).toEqual({ fired: 0, parked: [2, 0], logged: 0 })
})
