import { expect, it } from 'vitest'
import { NO_STAGE_METRICS } from '@sluice/partition/stage-metrics'
import { steadyMembership } from '@sluice/testkit/steady-membership'
import { openTestLog, PREFIX } from '@sluice/testkit/test-log'
import { SYNC } from '@sluice/testkit/sample-records'
import { at, syncTopics, textKey } from '@sluice/topics/topics'
import { showBacklog } from './report-partition.ts'

const { signal: abort } = new AbortController()

it('shows what is left behind the position, and nothing more once it is disposed', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const requests = at(syncTopics(PREFIX, SYNC).requests, 0)
  await world.append(
    requests,
    ['a', 'b', 'c'].map(key => ({ key: textKey(key), value: null })),
  )
  const told: unknown[] = []
  const heard = Promise.withResolvers<void>()
  const commits: number[] = []
  const membership = {
    ...steadyMembership(),
    commit: (_target: unknown, offset: number) => Promise.resolve(commits.push(offset) > 0),
  }
  const stageMetrics = {
    ...NO_STAGE_METRICS,
    backlog: (...of: unknown[]) => {
      told.push(of)
      heard.resolve()
    },
  }
  const backlog = showBacklog({
    ...{ log: world.log, stageMetrics, run: { sync: SYNC }, requests },
    worker: { target: requests, membership, abort },
    ledger: { position: 1, oldestAt: null },
  })
  backlog.now()
  await heard.promise
  await backlog[Symbol.asyncDispose]()
  expect(told).toEqual([
    [SYNC, 0, { requests: 2, oldestMs: 0 }],
    [SYNC, 0, null],
  ])
  expect(commits).toEqual([1])
})
