/** The memory that delivery takes, over all partitions of a process, does not depend on its requests. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { HttpSender, OutgoingRequest, SendResult } from '@sluice/http-sender/port'
import { bottleneckAdmission } from '@sluice/rate-limit/adapters/bottleneck'
import { createLocalRateLimit } from '@sluice/rate-limit/adapters/local'
import { createLeaseQueue } from '@sluice/rate-limit/lease-queue'
import { at, homePartition, runKey, sharedTopics, syncTopics } from '@sluice/topics/topics'
import { sampleDefinition, sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { steadyMembership } from '@sluice/testkit/steady-membership'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { writeRequests } from '@sluice/testkit/write-requests'
import { DeliveryMemory } from './delivery-memory.ts'
import { deliverPartition } from './deliver-partition.ts'
import { resolveTarget } from './destination/target.ts'
import { lateAfterTakeover } from './run/maybe-sent.ts'
import { UnrecordedRequests } from './send/unrecorded-requests.ts'
import { Throttles } from './send/throttles.ts'

vi.setConfig({ testTimeout: 60_000 })

const never = new AbortController().signal
const PARTITIONS = 6
const MB = 1_000_000

/** An API that answers when the test says so, and notes the requests that it got meanwhile. */
class SlowApi implements HttpSender {
  readonly #open = new Set<{ readonly request: OutgoingRequest; readonly answer: () => void }>()
  readonly mostBytes = { together: 0 }
  /** The partition whose requests are never answered. */
  silent: string | null = null

  send(request: OutgoingRequest): Promise<SendResult> {
    const { promise, resolve, reject } = Promise.withResolvers<SendResult>()
    const answered = {
      kind: 'answered',
      status: 200,
      headers: {},
      body: '',
      startedAt: 1,
      durationMs: 1,
    } as const
    const open = { request, answer: () => resolve(answered) }
    this.#open.add(open)
    request.signal.addEventListener('abort', () => reject(request.signal.reason))
    const bytes = [...this.#open].reduce((sum, each) => sum + (each.request.body?.length ?? 0), 0)
    this.mostBytes.together = Math.max(this.mostBytes.together, bytes)
    return promise
  }

  /** Partitions whose requests are under way. */
  get partitions(): ReadonlySet<string> {
    return new Set([...this.#open].map(({ request }) => partitionOf(request)))
  }

  answerNext(): void {
    for (const open of this.#open) {
      if (partitionOf(open.request) === this.silent) continue
      this.#open.delete(open)
      open.answer()
      return
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

function partitionOf({ url }: OutgoingRequest): string {
  return url.split('/').at(-1)?.split('-')[0] ?? ''
}

describe('six partitions of large requests, with a concurrency of 1000 and an API that is slow,', () => {
  const definition = sampleDefinition({
    destination: { limits: { rate: { requests: 100_000, per: 'second' }, concurrency: 1000 } },
    sync: { partitions: PARTITIONS },
  })
  let world: TestLog
  let api: SlowApi
  let memory: DeliveryMemory
  let stop: AbortController
  let working: Promise<unknown>
  let isEnded: (partition: number) => boolean

  beforeEach(async () => {
    world = await openTestLog({ partitions: PARTITIONS })
    const run = sampleEvent({ definition: await world.definitions.put(definition, { signal: never }) })
    const topics = syncTopics(PREFIX, SYNC)
    const { log, io, runs, definitions, prefix } = world
    await world.append(at(sharedTopics(PREFIX).runs, homePartition(SYNC)), [
      { key: runKey(SYNC, run.runId), value: io.encode('RunEvent', run) },
    ])
    const begin = { run: 1, runId: run.runId, definition: run.definition ?? '', startedAt: 1, first: true }
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      const keys = Array.from({ length: 8 }, (_, row) => `p${partition}-${row}`)
      await writeRequests(world, { begin, keys, partition, bodyBytes: 2 * MB })
    }
    isEnded = partition => runs.of(SYNC)?.reports.get(partition)?.ended === true
    api = new SlowApi()
    memory = new DeliveryMemory(40 * MB)
    stop = new AbortController()
    const deps = {
      ...{ log, io, runs, definitions, prefix, memory },
      sender: api,
      leases: createLeaseQueue(createLocalRateLimit(), bottleneckAdmission),
      throttles: new Throttles(),
      unrecorded: new UnrecordedRequests(),
      lateSends: lateAfterTakeover(() => 0),
      onError: () => undefined,
      resolveTarget: () => Promise.resolve(resolveTarget(definition, () => '')),
    }
    working = Promise.all(
      Array.from({ length: PARTITIONS }, (_, partition) =>
        deliverPartition(deps, run, {
          target: at(topics.requests, partition),
          membership: steadyMembership(),
          drain: stop.signal,
          abort: stop.signal,
        }),
      ),
    )
  })
  afterEach(async () => {
    stop.abort(new Error('the test is over'))
    await working.catch(() => undefined)
    await world[Symbol.asyncDispose]()
  })

  const numbers = Array.from({ length: PARTITIONS }, (_, partition) => partition)

  /** Answers one request after the other until those partitions have ended. */
  async function answerUntil(partitions: readonly number[]): Promise<void> {
    await expect.poll(() => api.partitions.size, { timeout: 20_000 }).toBe(PARTITIONS)
    while (!partitions.every(isEnded)) {
      api.answerNext()
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }

  it('are all under way, and hold no more than there is memory for', async () => {
    await answerUntil(numbers)
    // Half of it is for requests.
    expect(api.mostBytes.together).toBeLessThanOrEqual(20 * MB)
    expect(api.mostBytes.together).toBeGreaterThanOrEqual(PARTITIONS * 2 * MB)
    expect(memory.requests.takenBytes).toBe(0)
  })

  it('end but for the one whose requests are never answered', async () => {
    api.silent = 'p0'
    await answerUntil(numbers.slice(1))
    expect(isEnded(0)).toBe(false)
  })
})

describe('how far a partition is read ahead', () => {
  it('goes down with the number of partitions, between 64 KiB and 1 MiB', () => {
    const memory = new DeliveryMemory(32 * MB)
    const seen = Array.from({ length: 200 }, () => {
      memory.requests.open()
      return memory.readerBytes
    })
    expect([seen[0], seen[15], seen[199]]).toEqual([1024 * 1024, 500_000, 64 * 1024])
  })
})
