/** A life of the delivery of one partition, which a test ends softly or hard. */
import type { Attempt, RunEvent } from '@sluice/contracts/records'
import { steadyMembership } from '@sluice/testkit/steady-membership'
import { PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { SYNC } from '@sluice/testkit/sample-records'
import { bottleneckAdmission } from '@sluice/rate-limit/adapters/bottleneck'
import { createLocalRateLimit } from '@sluice/rate-limit/adapters/local'
import { createLeaseQueue } from '@sluice/rate-limit/lease-queue'
import { at, homePartition, runKey, sharedTopics, syncTopics } from '@sluice/topics/topics'
import type { Entry } from '@sluice/partition/deaths/entry'
import { deliverPartition } from '../src/deliver-partition.ts'
import { DeliveryMemory } from '../src/delivery-memory.ts'
import { lateAfterTakeover } from '@sluice/delivery/run/maybe-sent'
import type { DeliverDeps } from '../src/run/open-run.ts'
import { UnrecordedRequests } from '../src/send/unrecorded-requests.ts'
import { Throttles } from '../src/send/throttles.ts'

export interface Life {
  readonly done: Promise<void>
  /** Lets it hand over in good order. */
  drain(): Promise<void>
  /** Ends it where it stands. */
  kill(): Promise<void>
}

/** Delivers a partition. `entry` is what its takeover counts; by default it counts nothing. */
export function startLife(deps: DeliverDeps, run: RunEvent, entry?: Entry, partition = 0): Life {
  const [drain, kill] = [new AbortController(), new AbortController()]
  const target = at(syncTopics(PREFIX, SYNC).requests, partition)
  const worker = { target, membership: steadyMembership(), drain: drain.signal, abort: kill.signal, entry }
  const done = deliverPartition(deps, run, worker)
  const ended = done.catch(() => undefined)
  return {
    done,
    drain: async () => {
      drain.abort()
      await done
    },
    kill: async () => {
      kill.abort(new Error('killed'))
      await ended
    },
  }
}

/** Writes an event of a run, as its detector does. */
export async function tellOfRun(world: TestLog, event: RunEvent): Promise<void> {
  const value = world.io.encode('RunEvent', event)
  const place = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
  await world.append(place, [{ key: runKey(SYNC, event.runId), value }])
}

/** Delivery needs this besides the topics, and a script of a test decides some of it. */
export function depsOf(
  { log, io, runs, definitions, prefix }: TestLog,
  scripted: Pick<DeliverDeps, 'sender' | 'resolveTarget'>,
): DeliverDeps {
  return {
    ...{ log, io, runs, definitions, prefix, ...scripted },
    lateSends: lateAfterTakeover(() => 0),
    onError: () => undefined,
    leases: createLeaseQueue(createLocalRateLimit(), bottleneckAdmission),
    throttles: new Throttles({ firstPauseMs: 5 }),
    unrecorded: new UnrecordedRequests(),
    memory: new DeliveryMemory(128_000_000),
    random: () => 0,
  }
}

/** Lets a life deliver what is left, to the report of the run. */
export async function finishLife({ runs }: TestLog, life: Life): Promise<void> {
  const isOver = (): boolean => runs.of(SYNC)?.reports.get(0)?.ended === true
  await Promise.race([runs.until(isOver, { signal: new AbortController().signal }), life.done])
  await life.drain()
}

/** The attempts of partition 0, in their order. */
export async function attemptsOf(world: TestLog): Promise<readonly Attempt[]> {
  const found = await world.read(at(syncTopics(PREFIX, SYNC).attempts, 0))
  return found.flatMap(({ record }) => (record?.name === 'sluice.Attempt' ? [record.value] : []))
}
