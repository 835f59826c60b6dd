import { expect, it, vi } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { plainMarker } from '@sluice/partition/take-over'
import { incarnationOf } from '@sluice/resources/incarnations'
import { createLogger } from '@sluice/runtime/logger'
import { sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX } from '@sluice/testkit/test-log'
import { watchedLog } from '@sluice/testkit/watched-log'
import { at, homePartition, markerKey, runKey, sharedTopics, syncTopics } from '@sluice/topics/topics'
import type { RunnerDeps } from './runner-deps.ts'
import { SyncRunner } from './sync-runner.ts'

const { signal } = new AbortController()
const CHANGES = at(syncTopics(PREFIX, SYNC).changes, 0)
const RUNS = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
const refused = new SluiceError('unreachable', 'no right to write changes')

it('ends a run with the reason where each takeover fails later than a minute into its work', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const { io, runs } = world
  const incarnation = await incarnationOf(world, SYNC, { signal })
  const event = sampleEvent({ runId: 'CUT', run: 1, incarnation, definition: 'd', startedAt: 1 })
  const begin = { run: 1, runId: 'CUT', definition: 'd', startedAt: 1, first: true }
  const begun = { ...plainMarker('run-begin', incarnation, -1), begin }
  await world.append(RUNS, [{ key: runKey(SYNC, 'CUT'), value: io.encode('RunEvent', event) }])
  await world.append(CHANGES, [{ key: markerKey('run-begin', '0'), value: io.encode('Marker', begun) }])
  const real = performance.now.bind(performance)
  let passedMs = 0
  let tries = 0
  using _now = vi.spyOn(performance, 'now').mockImplementation(() => real() + passedMs)
  // Nobody may complete the markers of the run that was cut.
  const log = watchedLog(world.log, async ({ topic }, records) => {
    const isSealed = records.some(({ key }) => Buffer.from(key).equals(markerKey('run-end', '0')))
    if (topic !== CHANGES.topic || !isSealed) return
    tries += 1
    passedMs += 61_000
    throw refused
  })
  const logger = createLogger({ name: 'test', level: 'silent' })
  const deps = { ...world, log, logger, now: () => 20, adoptedAreInterrupted: false }
  const failed = Promise.withResolvers<never>()
  const drain = new AbortController()
  const runner = new SyncRunner(SYNC, deps as unknown as RunnerDeps, {
    ends: { drain: drain.signal, abort: signal },
    isMember: () => Promise.resolve(true),
    onFailure: failed.reject,
    onUnknown: () => undefined,
  })
  runner.wake()
  const ended = runs.until(() => runs.of(SYNC)?.events.get('CUT')?.status === 'failed', { signal })
  await Promise.race([ended, failed.promise])
  expect(runs.of(SYNC)?.events.get('CUT')?.error).toBe(refused.message)
  expect(tries).toBe(2)
  drain.abort()
  await runner.stopped()
}, 15_000)
