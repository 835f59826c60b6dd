/** Following a run that is refused because another one is queued, which sees the same rows. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunEvent } from '@sluice/contracts/records'
import { sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import { at, homePartition, runKey, sharedTopics } from '@sluice/topics/topics'
import { runView } from '../history/run-views.ts'
import type { Pipeline } from '../pipeline.ts'
import { RunWaits } from '../waits/run-waits.ts'
import { followRun, type SeenRun } from './follow-run.ts'

const { signal } = new AbortController()

/** It was queued at 5 and refused at once. */
const REFUSED = {
  runId: 'REFUSED',
  status: 'cancelled',
  queuedAt: 5,
  startedAt: null,
  endedAt: 5,
  errorCode: 'conflict',
} as const

describe('a run that is refused because another one is queued', () => {
  let world: TestLog
  beforeEach(async () => {
    world = await openTestLog({ partitions: 1 })
  })
  afterEach(() => world[Symbol.asyncDispose]())

  async function tell(...events: readonly Partial<RunEvent>[]): Promise<void> {
    const runs = at(sharedTopics(world.prefix).runs, homePartition(SYNC))
    for (const fields of events) {
      const event = sampleEvent({ definition: null, ...fields })
      const value = world.io.encode('RunEvent', event)
      await world.append(runs, [{ key: runKey(SYNC, event.runId), value }])
    }
    await world.runs.caughtUp(homePartition(SYNC), { signal })
  }

  async function followed(): Promise<string | undefined> {
    const waits = new RunWaits({ ...world, servicesElsewhere: false } as unknown as Pipeline)
    const find = (runId: string): SeenRun | undefined => {
      const runs = world.runs.of(SYNC)
      const event = runs?.events.get(runId)
      return runs === undefined || event === undefined ? undefined : { event, runs }
    }
    const viewOf = ({ event, runs }: SeenRun) => Promise.resolve(runView(event, null, runs.reports))
    let last: string | undefined
    for await (const { id } of followRun(world, { runId: 'REFUSED', waits, find, viewOf }, signal)) last = id
    return last
  }

  const before = { runId: 'BEFORE', status: 'success', queuedAt: 1, startedAt: 2, endedAt: 4 } as const
  const later = { runId: 'LATER', status: 'success', queuedAt: 8, startedAt: 9, endedAt: 10 } as const

  it.each([
    ['at work by now, and ends', { status: 'running', startedAt: 6 }, { status: 'success', endedAt: 9 }],
    ['over by now', { status: 'success', startedAt: 6, endedAt: 7 }, null],
    ['cancelled by now, before it began', { status: 'cancelled', startedAt: null, endedAt: 7 }, null],
    [
      'still queued, and is over later',
      { status: 'queued', startedAt: null },
      { status: 'success', endedAt: 9 },
    ],
  ] as const)('stands for that one, which is %s', async (_, first, then) => {
    const queued = { runId: 'QUEUED', queuedAt: 3, ...first }
    // It was refused, too, in the same instant, and for another reason.
    const other = { ...REFUSED, runId: 'OTHER', errorCode: null }
    await tell(before, REFUSED, queued, other, later)
    const following = followed()
    if (then !== null) await tell({ ...queued, startedAt: 6, ...then })
    expect(await following).toBe('QUEUED')
  })
})
