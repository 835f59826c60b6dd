import { expect, it, vi } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { createLocalLocks } from '@sluice/partition/adapters/local'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import { createLogger } from '@sluice/runtime/logger'
import { INCARNATION, sampleEvent, sampleReport, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX } from '@sluice/testkit/test-log'
import { NO_STAGE_METRICS } from './stage-metrics.ts'
import { followOpenRuns, type FollowDeps, type FollowingStage } from './follow-open-runs.ts'
import { reportSuspended } from './report-suspended.ts'
import { at, homePartition, reportKey, runKey, sharedTopics } from '@sluice/topics/topics'

const never = new AbortController().signal
const torn = new SluiceError('corrupt', 'no Avro')
const missing = new SluiceError('not-found', 'there is no topic test.customers.requests')
const emptied = new SluiceError('offset-out-of-range', 'test.customers.requests[0] holds offsets 0 to 0')

const logger = createLogger({ name: 'test', level: 'silent' })
const runsTopic = at(sharedTopics(PREFIX).runs, homePartition(SYNC))

type Follow = Pick<FollowingStage, 'work'> &
  Partial<Pick<FollowDeps, 'locks' | 'stageMetrics'>> & {
    readonly stage?: 'requests' | 'attempts'
    readonly joinFails?: SluiceError
  }

const RENDERER = { stage: 'requests', service: 'renderer', activity: 'rendering', reads: 'changes' } as const
const DELIVERY = { stage: 'attempts', service: 'delivery', activity: 'delivery', reads: 'requests' } as const

/** Follows one open run; `tell` writes an event of it. */
async function following(of: Follow) {
  const world = await openTestLog({ partitions: 2 })
  const drain = new AbortController()
  const tell = (fields: Partial<RunEvent>): Promise<number> => {
    const event = sampleEvent({ partitions: 2, ...fields })
    return world.append(runsTopic, [
      { key: runKey(SYNC, event.runId), value: world.io.encode('RunEvent', event) },
    ])
  }
  await tell({})
  const { joinFails } = of
  if (joinFails !== undefined) vi.spyOn(world.log, 'join').mockRejectedValue(joinFails)
  const { stage = 'requests', work, locks = createLocalLocks(), stageMetrics } = of
  const done = followOpenRuns(
    { ...world, logger, prefix: PREFIX, locks, stageMetrics },
    { ...(stage === 'requests' ? RENDERER : DELIVERY), work },
    { drain: drain.signal, abort: never },
  )
  const reportOf = (partition: number): PartitionReport | undefined =>
    world.runs.of(SYNC)?.reports.get(partition)
  return {
    world,
    tell,
    done,
    reportOf,
    end: async (): Promise<void> => {
      drain.abort()
      await done
      await world[Symbol.asyncDispose]()
    },
  }
}

it.each([missing, emptied])(
  'tries again what is missing of a sync ($code), and ends no run where it has come back',
  async fault => {
    const { promise: back, resolve } = Promise.withResolvers<void>()
    let tries = 0
    const follows = await following({
      work: ({ sync }, { target }) => {
        expect(sync).toBe(SYNC)
        if (target.partition === 1) return Promise.resolve()
        tries += 1
        if (tries === 1) return Promise.reject(fault)
        resolve()
        return Promise.resolve()
      },
    })
    await back
    await follows.end()
    expect(follows.reportOf(0)).toBeUndefined()
  },
)

it.each([
  ['requests', false, 'rendered'],
  ['attempts', true, 'delivered'],
] as const)(
  'of a partition that %s cannot go on with it says so, once a second try has failed',
  async (stage, ended, what) => {
    const stageMetrics: string[] = []
    const follows = await following({
      stage,
      stageMetrics: {
        ...NO_STAGE_METRICS,
        suspended: (at, sync, places) => stageMetrics.push(`${at} ${sync} ${places}`),
      },
      work: (_, { target, drain }) => (target.partition === 1 ? untilAborted(drain) : Promise.reject(torn)),
    })
    await follows.world.runs.until(() => follows.reportOf(0) !== undefined, { signal: never })
    expect(follows.reportOf(0)).toMatchObject({
      run: 1,
      ended,
      faultedFrom: 0,
      error: `its requests cannot be ${what}: no Avro`,
      errorCode: 'corrupt',
      requestsEnd: 0,
    })
    expect(follows.reportOf(1)).toBeUndefined()
    await follows.end()
    expect(stageMetrics).toEqual([`${stage} ${SYNC} 1`, `${stage} ${SYNC} 0`])
  },
)

it('holds no failure of an earlier run against the next one', async () => {
  const { promise: failed, resolve } = Promise.withResolvers<void>()
  let tries = 0
  const follows = await following({
    work: (_, { target, drain }) => {
      if (target.partition === 1) return untilAborted(drain)
      tries += 1
      resolve()
      return Promise.reject(torn)
    },
  })
  const { world } = follows
  await failed
  const events = [sampleEvent({ status: 'success', endedAt: 2 }), sampleEvent({ runId: 'RUN2', run: 2 })]
  const records = events.map(event => ({
    key: runKey(SYNC, event.runId),
    value: world.io.encode('RunEvent', event),
  }))
  await world.append(runsTopic, records)
  await world.runs.until(() => follows.reportOf(0) !== undefined, { signal: never })
  expect([follows.reportOf(0)?.run, tries]).toEqual([2, 3])
  await follows.end()
}, 15_000)

it.each([
  ['keeps its workers between runs that come within a minute, until a reset', 30_000, true],
  ['lets go after a run whose next one comes later', 90_000, false],
] as const)('%s', async (_, pauseMs, isKept) => {
  const begun: number[] = []
  const ended: number[] = []
  const { promise: over, resolve } = Promise.withResolvers<void>()
  const { promise: working, resolve: works } = Promise.withResolvers<void>()
  const follows = await following({
    work: async (_run, { target, drain }) => {
      if (begun.push(target.partition) === 2) works()
      await untilAborted(drain)
      if (ended.push(target.partition) === 2) resolve()
    },
  })
  await working
  const at = Date.now()
  const fired = { at, by: '', next: at + pauseMs }
  await follows.tell({ status: 'success', endedAt: at, fired })
  await follows.tell({ runId: 'RUN2', run: 2, status: 'queued', startedAt: null, fired })
  if (isKept) {
    await follows.tell({ runId: 'RUN2', run: 2, fired })
    const { runs } = follows.world
    await runs.until(() => runs.of(SYNC)?.events.get('RUN2')?.status === 'running', { signal: never })
    expect([begun.length, ended.length]).toEqual([2, 0])
    await follows.tell({ runId: 'RUN2', run: 2, status: 'success', endedAt: at, fired })
    await follows.tell({ runId: 'RUN3', run: null, cause: 'reset', status: 'queued', startedAt: null })
  }
  await over
  await follows.end()
  expect(begun.length).toBe(2)
})

it('ends a run whose work fails late in each try', async () => {
  const real = performance.now.bind(performance)
  let passedMs = 0
  using now = vi.spyOn(performance, 'now').mockImplementation(() => real() + passedMs)
  const follows = await following({
    stage: 'attempts',
    work: (_, { target, drain }) => {
      if (target.partition === 1) return untilAborted(drain)
      passedMs += 61_000
      return Promise.reject(torn)
    },
  })
  const { world } = follows
  await world.runs.until(() => follows.reportOf(0)?.ended === true, { signal: never })
  expect(now).toHaveBeenCalled()
  await follows.end()
}, 15_000)

it('tells nothing of partitions that another process is at work on, where it cannot join', async () => {
  const locks = createLocalLocks()
  const others = await locks.acquire(`attempts/${SYNC}/${INCARNATION}/0`, { signal: never })
  const refused = new SluiceError('unreachable', 'the group is full')
  const follows = await following({
    stage: 'attempts',
    locks,
    joinFails: refused,
    work: () => Promise.resolve(),
  })
  const { world } = follows
  await world.runs.until(() => follows.reportOf(1) !== undefined, { signal: never })
  expect(follows.reportOf(0)).toBeUndefined()
  await others[Symbol.asyncDispose]()
  await follows.end()
})

it('leaves alone the report of a partition whose part of the run is over', async () => {
  const follows = await following({ stage: 'attempts', work: (_, { drain }) => untilAborted(drain) })
  const { world } = follows
  const over = sampleReport({ partition: 0, requestsEnd: 9, marker: 4 })
  await world.append(runsTopic, [
    { key: reportKey(SYNC, 0), value: world.io.encode('PartitionReport', over) },
  ])
  await world.runs.until(() => follows.reportOf(0) !== undefined, { signal: never })
  const of = { stage: 'attempts', sync: SYNC, incarnation: INCARNATION, error: torn } as const
  await reportSuspended(world, { ...of, partition: null }, { signal: never })
  await world.runs.until(() => follows.reportOf(1) !== undefined, { signal: never })
  expect([follows.reportOf(0)?.faultedFrom, follows.reportOf(1)?.faultedFrom]).toEqual([null, 0])
  await follows.end()
})

it('keeps the reasons of failed rows that the partition had reported in the run', async () => {
  const follows = await following({ stage: 'attempts', work: (_, { drain }) => untilAborted(drain) })
  const { world } = follows
  const error = 'HTTP 422: no e-mail'
  const failures = [
    { outcome: 'rejected', status: 422, error, key: 'a', since: 1, rows: 2, retried: 0 } as const,
  ]
  const before = sampleReport({ partition: 0, ended: false, failures })
  await world.append(runsTopic, [
    { key: reportKey(SYNC, 0), value: world.io.encode('PartitionReport', before) },
  ])
  await world.runs.until(() => follows.reportOf(0) !== undefined, { signal: never })
  const of = { stage: 'attempts', sync: SYNC, incarnation: INCARNATION, error: torn } as const
  await reportSuspended(world, { ...of, partition: 0 }, { signal: never })
  await world.runs.until(() => follows.reportOf(0)?.ended === true, { signal: never })
  expect(follows.reportOf(0)).toMatchObject({ faultedFrom: 0, failures })
  await follows.end()
})

it('ends with what concerns the process, and with it all other work', async () => {
  const bug = new SluiceError('internal', 'a bug')
  const follows = await following({ work: () => Promise.reject(bug) })
  await expect(follows.done).rejects.toBe(bug)
  await follows.world[Symbol.asyncDispose]()
})

it('has nobody work on a topic that holds less than earlier runs wrote', async () => {
  await using world = await openTestLog({ partitions: 1 })
  await using locks = createLocalLocks()
  const runs = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
  const earlier = { runId: 'RUN0', status: 'success', endedAt: 1 } as const
  const ends = [{ partition: 0, requests: 5, attempts: 5 }]
  for (const event of [sampleEvent({ ...earlier, ends }), sampleEvent({ run: 2 })])
    await world.append(runs, [{ key: runKey(SYNC, event.runId), value: world.io.encode('RunEvent', event) }])
  const errors: unknown[] = []
  const drain = new AbortController()
  await followOpenRuns(
    {
      ...world,
      prefix: PREFIX,
      logger: { ...logger, error: (what: { readonly err: unknown }) => void errors.push(what.err) } as never,
      locks,
      stageMetrics: { ...NO_STAGE_METRICS, suspended: () => drain.abort() },
    },
    { ...RENDERER, work: () => Promise.reject(new Error('somebody works')) },
    { drain: drain.signal, abort: never },
  )
  expect(errors).toEqual([
    expect.objectContaining({
      code: 'lost-topic',
      message: expect.stringContaining('requests/0 ends at offset 0, and had 5 already') as string,
    }),
  ])
})

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
