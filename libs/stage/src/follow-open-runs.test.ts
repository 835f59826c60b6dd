import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { createLocalHolds } from '@sluice/holds/adapters/local'
import { INCARNATION, sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX } from '@sluice/testkit/test-log'
import { followOpenRuns } from './follow-open-runs.ts'
import { at, homePartition, runKey, sharedTopics, syncTopics } from './topics.ts'

const missing = new SluiceError('not-found', 'there is no topic test.customers.requests')
const emptied = new SluiceError('offset-out-of-range', 'test.customers.requests[0] holds offsets 0 to 0')

async function follow(outlasts: boolean, fault: SluiceError) {
  await using world = await openTestLog({ partitions: 1 })
  await using holds = createLocalHolds()
  const drain = new AbortController()
  const setbacks: unknown[] = []
  let isThere = false
  const event = sampleEvent({})
  await world.append(at(sharedTopics(PREFIX).runs, homePartition(SYNC)), [
    { key: runKey(event.sync, event.runId), value: world.io.encode('RunEvent', event) },
  ])
  await followOpenRuns({
    stage: 'requests',
    log: world.log,
    holds,
    runs: world.runs,
    prefix: PREFIX,
    outlasts,
    groupOf: () => `renderer.${INCARNATION}`,
    topicOf: run => syncTopics(PREFIX, run.sync).changes,
    work: () => {
      if (!isThere) return Promise.reject(fault)
      drain.abort()
      return Promise.resolve()
    },
    onSetback: (_run, _target, error) => {
      setbacks.push(error)
      isThere = true
    },
    drain: drain.signal,
    signal: new AbortController().signal,
  })
  return setbacks
}

it.each([missing, emptied])(
  'looks again for what is missing of a sync ($code), where the process works for others too',
  async fault => {
    expect(await follow(true, fault)).toEqual([fault])
  },
)

it.each([missing, emptied])(
  'ends with what is missing ($code) where it works for nobody else',
  async fault => {
    await expect(follow(false, fault)).rejects.toBe(fault)
  },
)

it('has nobody work on a topic that holds less than earlier runs wrote', async () => {
  await using world = await openTestLog({ partitions: 1 })
  await using holds = createLocalHolds()
  const runs = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
  const earlier = { runId: 'RUN0', status: 'success', endedAt: 1 } as const
  const ends = [{ partition: 0, requests: 5, attempts: 5 }]
  for (const event of [sampleEvent({ ...earlier, ends }), sampleEvent({ run: 2 })])
    await world.append(runs, [{ key: runKey(SYNC, event.runId), value: world.io.encode('RunEvent', event) }])
  const following = followOpenRuns({
    ...world,
    stage: 'requests',
    holds,
    groupOf: () => `renderer.${INCARNATION}`,
    topicOf: run => syncTopics(PREFIX, run.sync).changes,
    work: () => Promise.reject(new Error('somebody works')),
    onSetback: () => undefined,
    drain: new AbortController().signal,
    signal: new AbortController().signal,
  })
  await expect(following).rejects.toMatchObject({
    code: 'lost-topic',
    message: expect.stringContaining('requests/0 ends at offset 0, and had 5 already'),
  })
})
