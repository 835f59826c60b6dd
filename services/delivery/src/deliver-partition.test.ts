/**
 * The delivery of a partition keeps its promises across kills, drains and outages. Each test is a few lives
 * of delivery on one log, with an API that answers as the test wants.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { Attempt, RetryEntry, RunEvent } from '@sluice/contracts/records'
import { Notifier } from '@sluice/flow/notifier'
import type { OutgoingRequest, SendResult } from '@sluice/http-sender/port'
import { bottleneckAdmission } from '@sluice/rate-limit/adapters/bottleneck'
import { createLocalRateLimit } from '@sluice/rate-limit/adapters/local'
import { createLeaseQueue } from '@sluice/rate-limit/lease-queue'
import { NO_STAGE_METRICS } from '@sluice/partition/stage-metrics'
import type { Placed } from '@sluice/topics/owned-reader'
import { at, isMarkerKey, keyText, sharedTopics, syncTopics } from '@sluice/topics/topics'
import {
  sampleDefinition,
  sampleEvent,
  sampleRequest,
  sampleRetried,
  sampleRow,
  SYNC,
} from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { outage, watchedLog } from '@sluice/testkit/watched-log'
import { writeRequests } from '@sluice/testkit/write-requests'
import { startLife, tellOfRun, type Life } from '../test/live-delivery.ts'
import { DeliveryMemory } from './delivery-memory.ts'
import { lateAfterTakeover } from './run/maybe-sent.ts'
import type { DeliverDeps } from './run/open-run.ts'
import { earlierKey, requestHash } from './ledger/request-history.ts'
import { resolveTarget } from './destination/target.ts'
import { UnrecordedRequests } from './send/unrecorded-requests.ts'
import { Throttles } from './send/throttles.ts'

vi.setConfig({ testTimeout: 20_000 })

const never = new AbortController().signal
const definition = sampleDefinition()
const topics = syncTopics(PREFIX, SYNC)

type Answer = (request: OutgoingRequest) => Promise<SendResult>

const answer = (status: number, headers: { readonly [name: string]: string } = {}): SendResult => ({
  kind: 'answered',
  status,
  headers,
  body: '',
  startedAt: 1,
  durationMs: 1,
})
const delivered: Answer = () => Promise.resolve(answer(200))
const rejected: Answer = () => Promise.resolve(answer(409))
const throttled: Answer = () => Promise.resolve(answer(429, { 'retry-after': '60' }))
/** The API never answers. */
const silent: Answer = ({ signal }) => untilAborted(signal)
const keyOf = ({ url }: OutgoingRequest): string => url.split('/').at(-1) ?? ''
/** As the other answers, but for the row of that key. */
const butFor =
  (key: string, own: Answer, others: Answer): Answer =>
  request =>
    keyOf(request) === key ? own(request) : others(request)

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

/** The requests that reached the API, in order. */
class Sent {
  #requests: OutgoingRequest[] = []
  readonly #changes = new Notifier()

  add(request: OutgoingRequest): void {
    this.#requests.push(request)
    this.#changes.notify()
  }

  forget(): void {
    this.#requests = []
  }

  get keys(): readonly string[] {
    return this.#requests.map(keyOf)
  }

  get idempotencyKeys(): readonly (string | undefined)[] {
    return this.#requests.map(({ headers }) => headers['idempotency-key'])
  }

  async until(count: number): Promise<void> {
    for (;;) {
      const seen = this.#changes.version
      if (this.#requests.length >= count) return
      await this.#changes.after(seen, { signal: never })
    }
  }
}

describe('the delivery of a partition', () => {
  let world: TestLog
  let sent: Sent
  let run: RunEvent

  beforeEach(async () => {
    world = await openTestLog({ partitions: 1 })
    sent = new Sent()
    run = sampleEvent({ definition: await world.definitions.put(definition, { signal: never }) })
    await tell({})
  })
  afterEach(() => world[Symbol.asyncDispose]())

  const tell = (fields: Partial<RunEvent>): Promise<void> => tellOfRun(world, { ...run, ...fields })

  async function requests(
    keys: readonly string[],
    of: Omit<Parameters<typeof writeRequests>[1], 'begin' | 'keys'> = {},
  ): Promise<void> {
    const begin = { run: 1, runId: run.runId, definition: run.definition ?? '', startedAt: 1, first: true }
    await writeRequests(world, { begin, keys, ...of })
  }

  function live(answers: Answer, over: Partial<DeliverDeps> = {}): Life {
    const { log, io, runs, definitions, prefix } = world
    const deps: DeliverDeps = {
      ...{ log, io, runs, definitions, prefix },
      stageMetrics: NO_STAGE_METRICS,
      lateSends: lateAfterTakeover(() => 0),
      onError: () => undefined,
      sender: {
        send: request => {
          sent.add(request)
          return answers(request)
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
      leases: createLeaseQueue(createLocalRateLimit(), bottleneckAdmission),
      throttles: new Throttles(),
      unrecorded: new UnrecordedRequests(),
      memory: new DeliveryMemory(128_000_000),
      resolveTarget: () => Promise.resolve(resolveTarget(definition, () => '')),
      ...over,
    }
    return startLife(deps, run)
  }

  /** A life that delivers what is left, to the report of the run. */
  async function finish(answers: Answer, over: Partial<DeliverDeps> = {}): Promise<void> {
    const life = live(answers, over)
    await world.runs.until(() => world.runs.of(SYNC)?.reports.get(0)?.ended === true, { signal: never })
    await life.drain()
  }

  const attemptsIn = (found: readonly Placed[]): readonly Attempt[] =>
    found.flatMap(({ record }) => (record?.name === 'sluice.Attempt' ? [record.value] : []))

  const untilAttempts = (count: number): Promise<unknown> =>
    world.readUntil(at(topics.attempts, 0), found => attemptsIn(found).length >= count)

  async function entries(): Promise<readonly RetryEntry[]> {
    const found = await world.read(at(topics.retry, 0))
    return found.flatMap(({ record }) => (record?.name === 'sluice.RetryEntry' ? [record.value] : []))
  }

  describe('where it cannot go on', () => {
    it('gives the partition up once the log refuses its report, so that it can be taken over again', async () => {
      await requests(['a'])
      const log = watchedLog(world.log, async ({ topic }) => {
        if (topic === sharedTopics(PREFIX).runs) throw outage()
      })
      await expect(live(delivered, { log }).done).rejects.toMatchObject({ code: 'unreachable' })
    })

    it('rejects if its target cannot be found', async () => {
      await requests(['a'])
      const missing = new SluiceError('not-found', 'no such definition')
      const life = live(delivered, { resolveTarget: () => Promise.reject(missing) })
      await expect(life.done).rejects.toMatchObject({ code: 'not-found' })
    })
  })

  describe('sends nothing more, and accounts for all rows as unsent,', () => {
    const unsentRows = (): number => world.runs.of(SYNC)?.reports.get(0)?.counts.added?.unsent ?? 0

    it('of a run that is cancelled while it waits for a secret of its destination', async () => {
      await requests(['a', 'b'])
      const waits = Promise.withResolvers<void>()
      const resolveTarget: DeliverDeps['resolveTarget'] = (_hash, { signal }) => {
        waits.resolve()
        return untilAborted(signal)
      }
      const finished = finish(delivered, { resolveTarget })
      await waits.promise
      await tell({ cancelling: true })
      await finished
      expect([sent.keys, unsentRows()]).toEqual([[], 2])
    })

    it('of a run that was cancelled before', async () => {
      await requests(['a', 'b'])
      await tell({ cancelling: true })
      await world.runs.until(() => world.runs.of(SYNC)?.events.get(run.runId)?.cancelling === true, {
        signal: never,
      })
      await finish(delivered)
      expect([sent.keys, unsentRows()]).toEqual([[], 2])
    })

    it('of a run that has lasted for longer than its sync allows', async () => {
      const limited = sampleDefinition({ sync: { maxDuration: '1d' } })
      run = { ...run, definition: await world.definitions.put(limited, { signal: never }) }
      await tell({})
      // It started in 1970.
      await requests(['a', 'b'])
      await finish(delivered)
      expect([sent.keys, unsentRows()]).toEqual([[], 2])
      expect((await entries()).map(({ outcome }) => outcome)).toEqual(['unsent', 'unsent'])
    })
  })

  describe('does not send again what was delivered and recorded', () => {
    it('after a kill and the drain of a successor that waited for its target', async () => {
      await requests(['slow', 'b', 'c', 'd'])
      const first = live(butFor('slow', silent, delivered))
      await untilAttempts(3)
      await first.kill()
      const waiting = Promise.withResolvers<void>()
      const second = live(silent, {
        resolveTarget: (_hash, { signal }) => {
          waiting.resolve()
          return untilAborted(signal)
        },
      })
      await waiting.promise
      await second.drain()
      sent.forget()
      await finish(delivered)
      expect(sent.keys).toEqual(['slow'])
    })

    it('after a kill, an attempt of a successor that had not read all requests, and another kill', async () => {
      const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
      await requests(keys, { bodyBytes: 600_000 })
      const answers = new Map(keys.map(key => [key, Promise.withResolvers<SendResult>()]))
      const first = live(
        butFor('k0', silent, request => answers.get(keyOf(request))?.promise ?? silent(request)),
      )
      await sent.until(keys.length)
      for (const key of keys.toReversed().slice(0, -1)) answers.get(key)?.resolve(answer(200))
      await untilAttempts(19)
      await first.kill()
      let isFirst = true
      const second = live(request => {
        const answers = isFirst ? throttled : silent
        isFirst = false
        return answers(request)
      })
      await untilAttempts(20)
      await second.kill()
      sent.forget()
      await finish(delivered)
      expect(sent.keys).toEqual(['k0'])
    })
  })

  describe('keeps the values that it captured', () => {
    const capturing = sampleDefinition({
      sync: {
        triggers: { added: { method: 'POST', path: '/rows', capture: { id: '$.id' } }, changed: 'added' },
      },
    })
    const resolve = { resolveTarget: () => Promise.resolve(resolveTarget(capturing, () => '')) }
    const made: Answer = request => Promise.resolve({ ...answer(201), body: `{"id":"id-${keyOf(request)}"}` })

    /** By key, the values that the topic holds in the end; null is a tombstone. */
    async function kept(): Promise<{ readonly [key: string]: string | null }> {
      const values: { [key: string]: string | null } = {}
      for (const { key, record } of await world.read(at(topics.captured, 0))) {
        if (isMarkerKey(key)) continue
        values[keyText(key)] = record?.name === 'sluice.Captured' ? record.value.values : null
      }
      return values
    }

    /** A life that dies once its attempts are written and before what follows from them is. */
    async function dieBeforeCaptured(answers: Answer): Promise<void> {
      const held = Promise.withResolvers<void>()
      const log = watchedLog(world.log, (target, records) => {
        if (target.topic !== topics.captured || records.every(({ key }) => isMarkerKey(key)))
          return Promise.resolve()
        held.resolve()
        return new Promise(() => undefined)
      })
      const life = live(answers, { ...resolve, log })
      await held.promise
      expect(attemptsIn(await world.read(at(topics.attempts, 0)))).not.toEqual([])
      await life.kill()
      expect(await kept()).toEqual({})
    }

    it('from answers that it got', async () => {
      await requests(['a', 'b'])
      await finish(made, resolve)
      expect(await kept()).toEqual({ a: '{"id":"id-a"}', b: '{"id":"id-b"}' })
    })

    it('from an answer whose attempt was all that its predecessor could write before a kill', async () => {
      await requests(['a'])
      await dieBeforeCaptured(made)
      sent.forget()
      await finish(silent, resolve)
      expect(sent.keys).toEqual([])
      expect(await kept()).toEqual({ a: '{"id":"id-a"}' })
    })

    it('no longer than the row, though its predecessor was killed before it could forget them', async () => {
      await requests(['a'], { row: { op: 'removed', captured: '{"id":"id-a"}' }, trigger: 'removed' })
      await dieBeforeCaptured(delivered)
      sent.forget()
      await finish(silent, resolve)
      expect(sent.keys).toEqual([])
      expect(await kept()).toEqual({ a: null })
    })

    it('against a predecessor that lost the partition and still writes', async () => {
      await requests(['a'])
      const release = Promise.withResolvers<void>()
      const held = Promise.withResolvers<void>()
      const log = watchedLog(world.log, (target, records) => {
        if (target.topic !== topics.captured || records.every(({ key }) => isMarkerKey(key)))
          return Promise.resolve()
        held.resolve()
        return release.promise
      })
      const first = live(made, { ...resolve, log })
      await held.promise
      await finish(silent, resolve)
      release.resolve()
      await expect(first.done).rejects.toMatchObject({ code: 'fenced' })
      const written = (await world.read(at(topics.captured, 0))).filter(({ key }) => !isMarkerKey(key))
      expect(written).toHaveLength(1)
    })
  })

  describe('keeps unknown', () => {
    const outcomes = async (): Promise<readonly string[]> => (await entries()).map(({ outcome }) => outcome)

    it('a request that was under way in a kill, though nothing of it was recorded', async () => {
      await requests(['a'])
      const first = live(silent)
      await sent.until(1)
      await first.kill()
      // The request had arrived, and so the API refuses its repetition.
      await finish(rejected)
      expect(await outcomes()).toEqual(['unknown'])
    })

    it('a request whose second life was drained before it was sent again', async () => {
      await requests(['a', 'b'])
      const first = live(butFor('b', silent, delivered))
      await Promise.all([untilAttempts(1), sent.until(2)])
      await first.kill()
      const second = live(throttled)
      await untilAttempts(2)
      await second.drain()
      await finish(rejected)
      expect(await outcomes()).toEqual(['unknown'])
    })
  })

  describe('keeps the idempotency key for the next run', () => {
    it('of a request, maybe sent, that is then cancelled', async () => {
      await requests(['a', 'b'])
      const first = live(butFor('b', silent, delivered))
      await Promise.all([untilAttempts(1), sent.until(2)])
      const [, idempotencyKey] = sent.idempotencyKeys
      await first.kill()
      await tell({ cancelling: true })
      await finish(silent)
      expect(idempotencyKey).toMatch(/^[0-9a-f]{32}$/)
      expect(await entries()).toMatchObject([{ outcome: 'unknown', idempotencyKey }])
    })

    it('of a request that was unknown in one run and could not be sent in the next', async () => {
      const hash = requestHash('POST', 'http://api/rows/a', new TextEncoder().encode('aa'))
      const retried = sampleRetried({ idempotencyKey: 'K1', requestHash: hash })
      await requests(['a'], { row: { uncertain: true, retried } })
      await finish(() =>
        Promise.resolve({
          kind: 'failed',
          reason: 'not-sent',
          error: 'refused',
          startedAt: 1,
          durationMs: 1,
        }),
      )
      expect(sent.idempotencyKeys).toEqual(['K1'])
      const rows = (await entries()).map(entry => sampleRow({ uncertain: true, retried: entry }))
      expect(earlierKey(sampleRequest({ rows }), hash)).toBe('K1')
    })
  })
})
