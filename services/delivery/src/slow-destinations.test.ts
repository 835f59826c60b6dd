/**
 * Destinations that throttle for ever, or whose connections open too late or never: what is sent to them, and
 * what is written down, is bounded. Real sockets, and a whole partition's delivery.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Attempt } from '@sluice/contracts/records'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { nextTurn } from '@sluice/flow/sleep'
import { createUndiciSender } from '@sluice/http-sender/adapters/undici'
import type { HttpSender } from '@sluice/http-sender/port'
import { bottleneckAdmission } from '@sluice/rate-limit/adapters/bottleneck'
import { createLocalRateLimit } from '@sluice/rate-limit/adapters/local'
import { createLeaseQueue } from '@sluice/rate-limit/lease-queue'
import { at, homePartition, runKey, sharedTopics, syncTopics } from '@sluice/topics/topics'
import { sampleDefinition, sampleEvent, SYNC, type DefinitionFields } from '@sluice/testkit/sample-records'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { steadyMembership } from '@sluice/testkit/steady-membership'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { TEST_CERTIFICATE } from '@sluice/testkit/test-certificate'
import { writeRequests } from '@sluice/testkit/write-requests'
import { deliverPartition } from './deliver-partition.ts'
import { DeliveryMemory } from './delivery-memory.ts'
import { resolveTarget } from './destination/target.ts'
import { lateAfterTakeover } from './run/maybe-sent.ts'
import { UnrecordedRequests } from './send/unrecorded-requests.ts'
import { Throttles } from './send/throttles.ts'

vi.setConfig({ testTimeout: 30_000 })

const never = new AbortController().signal
const topics = syncTopics(PREFIX, SYNC)

let world: TestLog
beforeEach(async () => {
  world = await openTestLog({ partitions: 1 })
})
afterEach(() => world[Symbol.asyncDispose]())

interface Run {
  /** Resolves once the partition has reported its end. */
  readonly ended: Promise<void>
  /** Resolves once it is handed over. */
  drain(): Promise<void>
}

/** Delivers so many rows to that base URL. */
async function deliver(
  baseUrl: string,
  rows: number,
  { sync = {}, send }: { readonly sync?: DefinitionFields['sync']; readonly send?: HttpSender['send'] } = {},
): Promise<Run> {
  const definition = sampleDefinition({ destination: { baseUrl, breaker: false }, sync })
  const run = sampleEvent({ definition: await world.definitions.put(definition, { signal: never }) })
  await world.append(at(sharedTopics(PREFIX).runs, homePartition(SYNC)), [
    { key: runKey(SYNC, run.runId), value: world.io.encode('RunEvent', run) },
  ])
  const begin = { run: 1, runId: run.runId, definition: run.definition ?? '', startedAt: 1, first: true }
  await writeRequests(world, { begin, keys: Array.from({ length: rows }, (_, row) => `k${row}`) })
  const drain = new AbortController()
  await using opened = new AsyncDisposableStack()
  const real = opened.use(createUndiciSender({ connection: { tls: { rejectUnauthorized: false } } }))
  const sender: HttpSender = {
    send: send ?? (request => real.send(request)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const leases = opened.use(createLeaseQueue(createLocalRateLimit(), bottleneckAdmission))
  const target = resolveTarget(definition, () => '')
  const { log, io, runs, definitions, prefix } = world
  const done = deliverPartition(
    {
      ...{ log, io, runs, definitions, prefix, sender, leases },
      throttles: new Throttles({ firstPauseMs: 100 }),
      unrecorded: new UnrecordedRequests(),
      memory: new DeliveryMemory(128_000_000),
      lateSends: lateAfterTakeover(() => 0),
      onError: () => undefined,
      resolveTarget: () => Promise.resolve(target),
    },
    run,
    { target: at(topics.requests, 0), membership: steadyMembership(), drain: drain.signal, abort: never },
  )
  const closing = opened.move()
  const ended = runs.until(() => runs.of(SYNC)?.reports.get(0)?.ended === true, { signal: never })
  return {
    ended,
    drain: async () => {
      drain.abort()
      await done
      await closing.disposeAsync()
    },
  }
}

/** In ms, of those between requests one after the other. */
function longestPause(requests: ScriptedApi['requests']): number {
  const times = requests.map(({ arrivedAt }) => arrivedAt)
  return Math.max(0, ...times.slice(1).map((time, before) => time - (times[before] ?? time)))
}

/** Returns the number of pauses between requests. */
function pausesOf(requests: ScriptedApi['requests']): number {
  const times = requests.map(({ arrivedAt }) => arrivedAt)
  return times.filter((time, index) => time - (times[index - 1] ?? time) >= 90).length
}

async function attempts(): Promise<readonly Attempt[]> {
  const found = await world.read(at(topics.attempts, 0))
  return found.flatMap(({ record }) => (record?.name === 'sluice.Attempt' ? [record.value] : []))
}

describe('a destination that throttles every request', () => {
  let api: ScriptedApi
  beforeEach(async () => {
    api = await startScriptedApi()
  })
  afterEach(() => api.close())

  const past = new Date(Date.now() - 60_000).toUTCString()
  const rule = { errors: { answers: [{ status: 403, as: 'throttled' }] } }

  it.each([
    ['0', 429, {}],
    [past, 503, {}],
    [null, 403, rule],
  ])(
    'with Retry-After %s and status %d is left alone for longer and longer, and uses up no retry',
    async (after, status, sync) => {
      api.on({}, { status, headers: after === null ? {} : { 'Retry-After': after } })
      const run = await deliver(api.url, 200, { sync })
      // At most all that may be under way at once, then half as many after each pause of 1, 2 and 4 tenths.
      await api.waitFor(requests => longestPause(requests) >= 390)
      expect(api.requests.length).toBeLessThanOrEqual(53)
      api.reset()
      await run.ended
      await run.drain()
      expect(api.requests).toHaveLength(200)
      const made = await attempts()
      expect(made.filter(({ outcome }) => outcome === 'throttled').length).toBeLessThanOrEqual(53)
      const last = made.filter(({ final }) => final)
      expect(last).toHaveLength(200)
      expect(new Set(last.map(({ outcome, attempt }) => `${outcome} ${attempt}`))).toEqual(
        new Set(['delivered 1']),
      )
    },
  )

  it('of each request once is served as fast as its pauses allow', async () => {
    const seen = new Set<string>()
    api.on({}, ({ url }) => {
      if (seen.has(url)) return {}
      seen.add(url)
      return { status: 429 }
    })
    const run = await deliver(api.url, 250)
    await run.ended
    await run.drain()
    expect(api.requests).toHaveLength(500)
    // A pause for each burst of throttled requests, not for each of them. A busy machine makes bursts
    // smaller.
    expect(pausesOf(api.requests)).toBeLessThan(150)
  })

  it('of one request, of which one is under way at once, gets the others after it', async () => {
    api.on({}, { status: 429 }, { times: 1 })
    const run = await deliver(api.url, 3, { sync: { limits: { concurrency: 1 } } })
    await run.ended
    await run.drain()
    expect(api.requests).toHaveLength(4)
  })

  it('of all but a few gets no more than a few at once', async () => {
    // Ten requests in a fifth of a second: the others are throttled.
    let left = 10
    const refill = setInterval(() => (left = 10), 200)
    api.on({}, () => {
      left -= 1
      return left < 0 ? { status: 429 } : {}
    })
    const run = await deliver(api.url, 60)
    await run.ended
    clearInterval(refill)
    await run.drain()
    const made = await attempts()
    expect(made.filter(({ outcome }) => outcome === 'delivered')).toHaveLength(60)
    // The first burst, and a window or so in each fifth after it; in full width it would be forty in each.
    expect(made.filter(({ outcome }) => outcome === 'throttled').length).toBeLessThan(50 + 2 * 60)
  })
})

/** A server that does so with each connection. */
async function serve(
  handle: (socket: Socket) => void,
): Promise<AsyncDisposable & { readonly port: number; readonly connections: number }> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer(socket => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
    handle(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()))
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections
    },
    [Symbol.asyncDispose]: () =>
      new Promise<void>(resolve => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

describe('a process that is too slow for its leases', () => {
  it('delivers all rows, though it takes longer to hand over all than a lease lives', async () => {
    let late = 0
    const run = await deliver('http://api', 30, {
      sync: { timeout: '500ms' },
      send: async ({ sendBeforeMs = 0 }) => {
        const startedAt = Date.now()
        // As a large request on an idle connection does: it takes time, and is written in the next turn.
        const untilMs = elapsedMs() + 4
        while (elapsedMs() < untilMs);
        await nextTurn()
        if (elapsedMs() <= sendBeforeMs)
          return { kind: 'answered', status: 200, headers: {}, body: '', startedAt, durationMs: 1 }
        late += 1
        return { kind: 'failed', reason: 'not-sent', late: true, error: 'late', startedAt, durationMs: 0 }
      },
    })
    await run.ended
    await run.drain()
    expect((await attempts()).map(({ outcome }) => outcome)).toEqual(
      Array.from({ length: 30 }, () => 'delivered'),
    )
    expect(late).toBeGreaterThan(0)
  })
})

describe('a destination whose connections', () => {
  it('open too late for each lease: rows are unsent after their time-out', async () => {
    let tries = 0
    const run = await deliver('http://api', 5, {
      sync: { timeout: '500ms' },
      send: async () => {
        tries += 1
        await new Promise(resolve => setTimeout(resolve, 50))
        const failed = { kind: 'failed', reason: 'not-sent', late: true, error: 'too late' } as const
        return { ...failed, startedAt: Date.now(), durationMs: 50 }
      },
    })
    await run.ended
    await run.drain()
    expect(tries).toBe(5 * 10)
    const made = await attempts()
    expect(made).toHaveLength(5)
    for (const attempt of made) {
      expect(attempt).toMatchObject({ outcome: 'unsent', attempt: 1, final: true, durationMs: 500 })
      expect(attempt.error).toContain('no connection was open in time for a lease of the limits in 500 ms')
    }
  })

  it('open too late and are closed at once: the run ends', async () => {
    const closing = createTlsServer(TEST_CERTIFICATE, socket => {
      socket.on('error', () => undefined)
      socket.destroy()
    })
    await new Promise<void>(resolve => closing.listen(0, '127.0.0.1', () => resolve()))
    // Longer than a lease lives.
    await using balancer = await serve(socket => {
      setTimeout(() => {
        const behind = connect((closing.address() as AddressInfo).port, '127.0.0.1')
        behind.on('error', () => socket.destroy())
        socket.pipe(behind).pipe(socket)
      }, 60)
    })
    const url = `https://127.0.0.1:${balancer.port}`
    const run = await deliver(url, 5, { sync: { timeout: '1s' } })
    await run.ended
    await run.drain()
    const made = await attempts()
    expect(made).toHaveLength(5)
    // A request that went out before the end of its connection was noticed may have arrived.
    for (const attempt of made) expect(['unsent', 'unknown']).toContain(attempt.outcome)
    expect(balancer.connections).toBeLessThan(5 * 25)
    await new Promise(resolve => closing.close(resolve))
  })

  it('never end their TLS handshake: rows are unsent after their time-out', async () => {
    await using deaf = await serve(() => undefined)
    const run = await deliver(`https://127.0.0.1:${deaf.port}`, 5, { sync: { timeout: '1s' } })
    await run.ended
    await run.drain()
    expect((await attempts()).map(({ outcome, error }) => [outcome, error])).toEqual(
      Array.from({ length: 5 }, () => ['unsent', 'no connection within 1000 ms']),
    )
    expect(deaf.connections).toBeLessThanOrEqual(10)
  })

  it.each([
    ['are refused', 'http://127.0.0.1:9', /ECONNREFUSED/],
    ['are to a name that nobody knows', 'http://nowhere.invalid', /nowhere\.invalid/],
  ])('%s: each row is tried once', async (_what, baseUrl, error) => {
    const run = await deliver(baseUrl, 300)
    await run.ended
    await run.drain()
    const made = await attempts()
    expect(made).toHaveLength(300)
    for (const attempt of made) {
      expect(attempt).toMatchObject({ outcome: 'unsent', attempt: 1, error: expect.stringMatching(error) })
    }
  })
})
