import { expect, it } from 'vitest'
import type { DeliveredState, StateFeed } from '@sluice/delivered-state/port'
import { syncTopics } from '@sluice/stage/topics'
import { INCARNATION, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX } from '@sluice/testkit/test-log'
import { writeChanges } from '@sluice/testkit/write-changes'
import { feedState } from './feed-state.ts'

const { signal } = new AbortController()
const NOTHING_READ = { changes: [0], retry: [0], captured: [0], lastChange: [null] }

it('takes changes whose fate nobody knows as unknown, from the first that is lost on, of that run and partition', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const { log, io } = world
  const columns = [{ name: 'id', type: { kind: 'text' } }] as const
  const rows = ['a', 'b', 'c'].map(key => ({ key, row: { id: key } }))
  for (const run of [1, 2]) {
    const begin = { run, runId: `RUN${run}`, definition: 'd', startedAt: 1, first: run === 1 }
    await writeChanges(world, { begin, columns, rows })
  }
  const fed: StateFeed[] = []
  const state = {
    positions: () => Promise.resolve(NOTHING_READ),
    feed: async (stretch: StateFeed) => void fed.push(stretch),
    commit: () => Promise.resolve(),
  } as unknown as DeliveredState
  const faults = [
    { partition: 0, run: 1, from: 1 },
    { partition: 1, run: 2, from: 0 },
  ]
  const of = { topics: syncTopics(PREFIX, SYNC), partitions: 1, incarnation: INCARNATION }
  await feedState(state, { log, io, ...of, faults, signal })
  const entries = fed.flatMap(({ retry }) => retry?.records ?? [])
  expect(entries.map(({ key, value }) => [key, value?.run, value?.seq, value?.outcome])).toEqual([
    ['b', 1, 1, 'unknown'],
    ['c', 1, 2, 'unknown'],
  ])
})
