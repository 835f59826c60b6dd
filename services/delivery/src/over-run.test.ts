/** Delivery of a run that ended, or has to end, before its partition was done (PROTOCOL.md §11). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { PartitionReport, RunBegin, RunEvent } from '@sluice/contracts/records'
import { bottleneckAdmission } from '@sluice/rate-limit/adapters/bottleneck'
import { createLocalRateLimit } from '@sluice/rate-limit/adapters/local'
import { createLeaseQueue } from '@sluice/rate-limit/lease-queue'
import type { MessageLog, ReadBatch, TopicPartition } from '@sluice/message-log/port'
import { reportSuspended } from '@sluice/partition/report-suspended'
import { plainMarker } from '@sluice/partition/take-over'
import { RunsView } from '@sluice/runs/runs-view'
import {
  at,
  homePartition,
  markerKey,
  reportKey,
  runKey,
  sharedTopics,
  syncTopics,
  textKey,
} from '@sluice/topics/topics'
import { INCARNATION, sampleDefinition, sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { steadyMembership } from '@sluice/testkit/steady-membership'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { writeRequests } from '@sluice/testkit/write-requests'
import { deliverPartition } from './deliver-partition.ts'
import { DeliveryMemory } from './delivery-memory.ts'
import { lateAfterTakeover } from './run/maybe-sent.ts'
import type { DeliverDeps } from './run/open-run.ts'
import { PassedRun } from './run/passed-run.ts'
import { ScriptedDelivery } from '../test/scripted-delivery.ts'
import { resolveTarget } from './destination/target.ts'
import { UnrecordedRequests } from './send/unrecorded-requests.ts'
import { Throttles } from './send/throttles.ts'

const never = new AbortController().signal
const definition = sampleDefinition()
const topics = syncTopics(PREFIX, SYNC)
const RUNS = { OLD: 1, NEW: 2, NEXT: 3 } as const
type RunId = keyof typeof RUNS

let world: TestLog
let hash: string
let sent: string[]
beforeEach(async () => {
  world = await openTestLog({ partitions: 1 })
  hash = await world.definitions.put(definition, { signal: never })
  sent = []
})
afterEach(() => world[Symbol.asyncDispose]())

const eventOf = (runId: RunId, fields: Partial<RunEvent> = {}): RunEvent =>
  sampleEvent({ runId, run: RUNS[runId], definition: hash, ...fields })

/** Writes an event of a run, and waits until it is known here. */
async function tell(runId: RunId, fields: Partial<RunEvent> = {}): Promise<void> {
  const event = eventOf(runId, fields)
  await world.append(at(sharedTopics(PREFIX).runs, homePartition(SYNC)), [
    { key: runKey(SYNC, runId), value: world.io.encode('RunEvent', event) },
  ])
  await world.runs.until(() => world.runs.of(SYNC)?.events.get(runId)?.status === event.status, {
    signal: never,
  })
}

const beginOf = (runId: RunId): RunBegin => ({
  run: RUNS[runId],
  runId,
  definition: hash,
  startedAt: 1,
  first: true,
})

function write(runId: RunId, keys: readonly string[], of: Partial<RunBegin> = {}): Promise<void> {
  return writeRequests(world, { begin: { ...beginOf(runId), ...of }, keys })
}

/** `answered` is waited for before a request is answered. */
function live({
  answered = Promise.resolve(),
  ...over
}: Partial<Pick<DeliverDeps, 'lateSends' | 'runs' | 'resolveTarget'>> & {
  readonly answered?: Promise<void>
} = {}): {
  readonly done: Promise<void>
  drain(): Promise<void>
} {
  const drain = new AbortController()
  const { log, io, runs, definitions, prefix } = world
  const worker = { target: at(topics.requests, 0), membership: steadyMembership(), abort: never }
  const done = deliverPartition(
    {
      ...{
        log,
        io,
        runs,
        definitions,
        prefix,
        lateSends: lateAfterTakeover(() => 0),
        onError: () => undefined,
      },
      throttles: new Throttles(),
      unrecorded: new UnrecordedRequests(),
      memory: new DeliveryMemory(128_000_000),
      leases: createLeaseQueue(createLocalRateLimit(), bottleneckAdmission),
      resolveTarget: async of => resolveTarget(await definitions.get(of, { signal: never }), () => ''),
      sender: {
        send: async ({ url }) => {
          sent.push(url.split('/').at(-1) ?? '')
          await answered
          return { kind: 'answered', status: 200, headers: {}, body: '', startedAt: 1, durationMs: 1 }
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
      ...over,
    },
    eventOf('NEW'),
    { ...worker, drain: drain.signal },
  )
  return {
    done,
    drain: () => {
      drain.abort()
      return done
    },
  }
}

/** A log in which, once it is late, `runs` is read no further until somebody asks where it ends. */
function lateLog(log: MessageLog): { readonly log: MessageLog; late(): void } {
  let asked = Promise.withResolvers<void>()
  asked.resolve()
  const isRuns = ({ topic }: TopicPartition): boolean => topic === sharedTopics(PREFIX).runs
  async function* read(...[target, options]: Parameters<MessageLog['read']>): AsyncGenerator<ReadBatch> {
    for await (const batch of log.read(target, options)) {
      if (isRuns(target)) await asked.promise
      yield batch
    }
  }
  const offsets: MessageLog['offsets'] = (target, options) => {
    if (isRuns(target)) asked.resolve()
    return log.offsets(target, options)
  }
  const own = new Map<string | symbol, unknown>([
    ['read', read],
    ['offsets', offsets],
  ])
  return {
    log: new Proxy(log, { get: (target, name): unknown => own.get(name) ?? Reflect.get(target, name) }),
    late: () => {
      asked = Promise.withResolvers()
    },
  }
}

const report = (): PartitionReport | undefined => world.runs.of(SYNC)?.reports.get(0)

function untilOver(runId: RunId): Promise<void> {
  const isOver = (): boolean => report()?.run === RUNS[runId] && report()?.ended === true
  return world.runs.until(isOver, { signal: never })
}

/** Delivers until the report says that the partition's part of the new run is over. */
async function deliverNew(): Promise<PartitionReport | undefined> {
  const life = live()
  await untilOver('NEW')
  const found = report()
  await life.drain()
  return found
}

async function entries(): Promise<readonly string[]> {
  const found = await world.read(at(topics.retry, 0))
  return found.flatMap(({ record }) =>
    record?.name === 'sluice.RetryEntry' ? [`${record.value.run} ${record.value.outcome}`] : [],
  )
}

describe('of a run that ended before the partition was done', () => {
  it('nothing more is sent: the rest is unsent, and the next run is delivered', async () => {
    await write('OLD', ['old', 'older'])
    await tell('OLD', { status: 'failed', endedAt: 2 })
    await tell('NEW')
    await write('NEW', ['a'])
    expect((await deliverNew())?.faultedFrom).toBeNull()
    expect([sent, await entries()]).toEqual([['a'], ['1 unsent', '1 unsent']])
  })

  it('what cannot be opened any more is passed over; of a run that goes on it is given up', async () => {
    await write('OLD', ['old', 'older'], { definition: 'gone' })
    await tell('OLD')
    await expect(live().done).rejects.toMatchObject({ code: 'not-found' })
    await tell('OLD', { status: 'failed', endedAt: 2 })
    await tell('NEW')
    await write('NEW', ['a'])
    await deliverNew()
    expect([sent, await entries()]).toEqual([['a'], []])
  })

  it('a run that cannot be opened leaves its wait for late requests to the next run', async () => {
    await write('OLD', ['old'], { definition: 'gone' })
    const checkpoint = { offset: 0, from: 0, run: RUNS.OLD, counts: {} }
    const begun = { ...plainMarker('run-begin', INCARNATION, 0), begin: beginOf('OLD'), checkpoint }
    await world.append(at(topics.attempts, 0), [
      { key: markerKey('run-begin', '0'), value: world.io.encode('Marker', begun) },
    ])
    await tell('OLD', { status: 'failed', endedAt: 2 })
    await tell('NEW')
    await write('NEW', ['a'])
    const startedAt = performance.now()
    const life = live({ lateSends: lateAfterTakeover(() => 300) })
    await untilOver('NEW')
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(300)
    expect(sent).toEqual(['a'])
    await life.drain()
  })

  it('the next begins, though here it is read late that this one has ended', async () => {
    await tell('OLD')
    await writeRequests(world, { begin: beginOf('OLD'), keys: ['old'], ends: false })
    const { log, late } = lateLog(world.log)
    await using runs = await RunsView.open({ log, io: world.io, prefix: PREFIX }, { signal: never })
    await runs.caughtUp(homePartition(SYNC), { signal: never })
    const life = live({ runs })
    await world.readUntil(at(topics.attempts, 0), found =>
      found.some(({ record }) => record?.name === 'sluice.Attempt'),
    )
    late()
    await tell('OLD', { status: 'failed', endedAt: 2 })
    await tell('NEW')
    await write('NEW', ['a'])
    await untilOver('NEW')
    expect(sent).toEqual(['old', 'a'])
    await life.drain()
  })

  it('an end that cannot be read does not stand in the way of the next run', async () => {
    const torn = { key: textKey('x'), value: new Uint8Array([1, 2, 3]) }
    await world.append(at(topics.requests, 0), [torn])
    await tell('NEW')
    await write('NEW', ['a'])
    await deliverNew()
    expect(sent).toEqual(['a'])
  })
})

describe('a partition whose renderer cannot go on', () => {
  const ask = (): Promise<void> => {
    const of = { stage: 'requests', sync: SYNC, incarnation: INCARNATION, partition: 0 } as const
    return reportSuspended(
      world,
      { ...of, error: new SluiceError('template', 'no filter') },
      { signal: never },
    )
  }

  it('is ended when it asks, from the first change that has no request', async () => {
    await tell('NEW')
    await ask()
    expect(await deliverNew()).toMatchObject({
      ...{ faultedFrom: 0, requestsEnd: 0, errorCode: 'template' },
      error: 'its requests cannot be rendered: no filter',
    })
  })

  it('and nothing is sent that its renderer writes after all: it is unsent', async () => {
    await tell('NEW')
    await ask()
    const life = live()
    await world.runs.until(() => report()?.ended === true, { signal: never })
    await write('NEW', ['a'])
    await world.runs.until(() => report()?.faultedFrom === null, { signal: never })
    expect(report()).toMatchObject({ ended: true, counts: { added: { delivered: 0, unsent: 1 } } })
    expect([sent, await entries()]).toEqual([[], ['2 unsent']])
    await life.drain()
  })

  it('is ended even if a report of progress replaces the request of the renderer', async () => {
    await tell('NEW')
    await writeRequests(world, { begin: beginOf('NEW'), keys: ['a'], ends: false })
    const answer = Promise.withResolvers<void>()
    const life = live({ answered: answer.promise })
    await world.readUntil(at(topics.attempts, 0), found => found.length >= 2)
    await ask()
    await world.runs.until(() => report() !== undefined, { signal: never })
    const asked = report()
    if (asked === undefined) throw new Error('the question is not there')
    const progress = { ...asked, faultedFrom: null, error: null, errorCode: null }
    await world.append(at(sharedTopics(PREFIX).runs, homePartition(SYNC)), [
      { key: reportKey(SYNC, 0), value: world.io.encode('PartitionReport', progress) },
    ])
    await world.runs.until(() => report()?.faultedFrom === null, { signal: never })
    answer.resolve()
    await untilOver('NEW')
    expect(report()).toMatchObject({ faultedFrom: 1, counts: { added: { delivered: 1 } } })
    await life.drain()
  })

  it('of a run that has ended since does not take away the report of the next', async () => {
    await tell('OLD')
    await ask()
    await tell('OLD', { status: 'failed', endedAt: 2 })
    await tell('NEW')
    await write('NEW', ['a'])
    const life = live()
    await untilOver('NEW')
    // The effects of the request come before the reports of one more run.
    await tell('NEW', { status: 'success', endedAt: 3 })
    await tell('NEXT')
    await write('NEXT', ['b'])
    await untilOver('NEXT')
    await life.drain()
    const found = await world.read(at(sharedTopics(PREFIX).runs, homePartition(SYNC)))
    const told = found.flatMap(({ record }) =>
      record?.name === 'sluice.PartitionReport' ? [[record.value.run, record.value.ended]] : [],
    )
    expect(told).toEqual([
      [RUNS.OLD, false],
      [RUNS.NEW, true],
      [RUNS.NEXT, true],
    ])
  })

  it('is ended only once what a frozen predecessor has sent can arrive no more', async () => {
    await tell('NEW')
    const begin = beginOf('NEW')
    await writeRequests(world, { begin, keys: ['a'], ends: false })
    const checkpoint = { offset: 0, from: 0, run: RUNS.NEW, counts: {} }
    const begun = { ...plainMarker('run-begin', INCARNATION, 0), begin, checkpoint }
    await world.append(at(topics.attempts, 0), [
      { key: markerKey('run-begin', '0'), value: world.io.encode('Marker', begun) },
    ])
    await ask()
    const startedAt = performance.now()
    const life = live({ lateSends: lateAfterTakeover(() => 300) })
    await world.runs.until(() => report()?.ended === true, { signal: never })
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(300)
    await life.drain()
  })
})

describe('a partition that delivery itself could not go on with', () => {
  it('is not delivered any more, once that is reported, though the present owner could', async () => {
    await tell('NEW')
    await write('NEW', ['a', 'b'])
    const of = { stage: 'attempts', sync: SYNC, incarnation: INCARNATION, partition: 0 } as const
    await reportSuspended(world, { ...of, error: new SluiceError('config', 'no right') }, { signal: never })
    const life = live()
    await world.runs.until(() => report()?.faultedFrom === null, { signal: never })
    expect([sent, await entries()]).toEqual([[], ['2 unsent', '2 unsent']])
    await life.drain()
  })
})

it('a run whose secret does not come waits visibly, and fails with its name; no row is uncertain', async () => {
  await tell('NEW')
  await write('NEW', ['a', 'b'])
  const missing = new SluiceError('config', 'The secret `key` is not set')
  const isTold = (): boolean => report()?.waits?.[0]?.detail === missing.message
  const life = live({
    resolveTarget: async (_hash, { waitsFor }) => {
      waitsFor({ kind: 'secret', until: null, detail: missing.message })
      await world.runs.until(isTold, { signal: never })
      waitsFor(null)
      throw missing
    },
  })
  await untilOver('NEW')
  await life.drain()
  // Behind the last change: the fault touches none.
  const fault = { faultedFrom: 2, error: missing.message, errorCode: 'config' }
  expect(report()).toMatchObject({ ...fault, counts: { added: { unsent: 2 } } })
  expect([sent, await entries()]).toEqual([[], ['2 unsent', '2 unsent']])
})

describe('a run that is passed over', () => {
  const torn = new SluiceError('corrupt', 'no Avro')
  const over = (): PassedRun => new PassedRun(run => run === 1)

  it('is one that has ended and cannot be opened for a reason of its own', () => {
    const passed = over()
    passed.begin(1, torn)
    expect([passed.passes(1), passed.passes(2)]).toEqual([true, false])
    passed.end()
    expect(passed.passes(1)).toBe(false)
    expect(() => over().begin(2, torn)).toThrow(torn)
    const bug = new TypeError('a bug')
    expect(() => over().begin(1, bug)).toThrow(bug)
  })

  it('is recognised by the next record if something cannot be read between runs', () => {
    const passed = over()
    passed.takeTorn(torn, null)
    expect(passed.passes(1)).toBe(true)
    const other = over()
    other.takeTorn(torn, null)
    expect(() => other.passes(2)).toThrow(torn)
  })

  it('loses what cannot be read, where that of a run that goes on is a failure', () => {
    expect(() => over().takeTorn(torn, 1)).not.toThrow()
    expect(() => over().takeTorn(torn, 2)).toThrow(torn)
  })
})

it('repeats the end of a partition that somebody asks to end a moment too late', async () => {
  await using delivery = await ScriptedDelivery.open()
  const { runs } = delivery.world
  await delivery.begin(['a', 'b'])
  const life = delivery.live()
  const report = (): PartitionReport | undefined => runs.of(SYNC)?.reports.get(0)
  await runs.until(() => report()?.ended === true, { signal: never })
  const end = report()
  const asked = { ...end, ended: false, faultedFrom: 0, error: 'late', requestsEnd: 0 } as PartitionReport
  const value = delivery.world.io.encode('PartitionReport', asked)
  const place = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
  await delivery.world.append(place, [{ key: reportKey(SYNC, 0), value }])
  await runs.until(() => report()?.error === 'late', { signal: never })
  await runs.until(() => report()?.ended === true, { signal: never })
  expect(report()).toEqual({ ...end, attemptsEnd: report()?.attemptsEnd })
  expect(report()?.faultedFrom).toBeNull()
  await life.drain()
})
