/**
 * Limits in Redis while answers are lost: grants that no process heard of come back at once, and nothing is
 * ever granted twice. Each test has a budget of its own. The Redis belongs to this file alone, and can stand
 * still.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { Redis } from 'ioredis'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { sleep } from '@sluice/flow/sleep'
import { randomFrom } from '@sluice/testkit/random'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import { startServices, type LocalService, type LocalServices } from '../../../../deploy/local/services.ts'
import { createRedisRateLimit } from './redis.ts'
import type { Grant, RateLimit, TakeRequest } from '../port.ts'

const { signal } = new AbortController()
const CONCURRENCY = 10
/** More than a test can use up. */
const PER_MINUTE = 100_000
/** Slots of a dead process come back only after this. No test may take so long. */
const SLOT_LIFE_MS = 600_000
const TIMEOUT_MS = 300
const SILENCE_MS = 700
/** The number of takes that are given up in an outage. */
const LOST = 20
/** "At once": the time of an answer and of the next statement. */
const AT_ONCE_MS = 1_500

describe.skipIf(inject('redisUrl') === null)('limits in Redis whose answers are lost', () => {
  let services: LocalServices
  let server: LocalService
  let proxy: TcpProxy
  /** Its way to Redis leads through the proxy. */
  let cutOff: RateLimit
  let healthy: RateLimit
  let name = ''
  beforeAll(async () => {
    services = await startServices(['redis'], { engine: 'native' })
    server = services.get('redis')
    const { hostname, port } = new URL(server.address)
    proxy = await TcpProxy.start({ target: { host: hostname, port: Number(port) } })
  })
  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]()
    await services?.stop()
  })
  beforeEach(() => {
    name = `destination/${Math.random().toString(36).slice(2)}`
    cutOff = open(`redis://127.0.0.1:${proxy.port}`)
    healthy = open(server.address)
  })
  afterEach(async () => {
    await proxy.set({ kind: 'pass' })
    await cutOff[Symbol.asyncDispose]()
    await healthy[Symbol.asyncDispose]()
  })

  const open = (url: string): RateLimit =>
    createRedisRateLimit({ url, commandTimeoutMs: TIMEOUT_MS, silenceMs: SILENCE_MS })
  const request = (want: number, over: Partial<TakeRequest> = {}): TakeRequest => ({
    scopes: [{ name, rates: [{ requests: PER_MINUTE, windowMs: 60_000 }], concurrency: CONCURRENCY }],
    owner: { partition: 'sync/0', marker: 1 },
    want,
    slotLifeMs: SLOT_LIFE_MS,
    signal,
    ...over,
  })
  const granted = (grant: Grant | null): number => (grant?.kind === 'granted' ? grant.permits : 0)
  const take = async (limit: RateLimit, want: number) => {
    const grant = await limit.take(request(want))
    if (grant.kind !== 'granted') throw new Error(`expected a grant, got ${JSON.stringify(grant)}`)
    return grant
  }
  /** The number of those that are granted at once besides, without keeping them. */
  const room = async (limit: RateLimit): Promise<number> => {
    const grant = await limit.take(request(PER_MINUTE)).catch(() => null)
    if (grant?.kind === 'granted') await limit.giveBack(grant.lease, { unused: grant.permits, finished: 0 })
    return granted(grant)
  }
  const hasRoom = (limit: RateLimit, permits: number) =>
    expect.poll(() => room(limit), { timeout: AT_ONCE_MS, interval: 20 }).toBe(permits)
  const lostTakes = async (limit: RateLimit) => {
    const takes = await Promise.allSettled(Array.from({ length: LOST }, () => limit.take(request(3))))
    for (const each of takes) expect(each).toMatchObject({ reason: { code: 'unreachable', retryable: true } })
  }
  /**
   * Answers arrive again, over new connections. TCP delivers nothing behind a gap, but the proxy would: and
   * since Redis numbers no answers, each would be taken for one that was swallowed before it, so that a take
   * would be granted what another one got.
   */
  const endSwallowing = async (): Promise<void> => {
    proxy.cut()
    await proxy.set({ kind: 'pass' })
  }
  /** Permits of the minute that count as used. */
  const used = async (): Promise<number> => {
    const admin = new Redis(server.address)
    const total = await admin.hget(`sluice:limits:{${name}}:count:${name}|60000`, 't')
    await admin.quit()
    return Number(total)
  }

  it('a server that stood still grants nothing to takes that were given up: all is free again at once', async () => {
    const mine = await take(cutOff, 4)
    server.freeze()
    await lostTakes(cutOff)
    server.thaw()
    await hasRoom(healthy, CONCURRENCY - 4)
    await hasRoom(cutOff, CONCURRENCY - 4)
    expect(await used()).toBe(4)
    await cutOff.giveBack(mine.lease, { unused: 0, finished: 4 })
    await hasRoom(healthy, CONCURRENCY)
    expect(await used()).toBe(4)
  })

  it('grants whose answers never came are free again at once, for other processes too', async () => {
    await take(cutOff, 4)
    await proxy.set({ kind: 'swallow' })
    await lostTakes(cutOff)
    await endSwallowing()
    await hasRoom(healthy, CONCURRENCY - 4)
    expect(await used()).toBe(4)
  })

  it('a return while Redis does not answer reaches it later, once, and without a further call', async () => {
    const mine = await take(cutOff, 8)
    await proxy.set({ kind: 'swallow' })
    await cutOff.giveBack(mine.lease, { unused: 2, finished: 1 })
    await cutOff.giveBack(mine.lease, { unused: 1, finished: 1 })
    await proxy.set({ kind: 'refuse' })
    await cutOff.giveBack(mine.lease, { unused: 0, finished: 1 })
    await proxy.set({ kind: 'pass' })
    await hasRoom(healthy, CONCURRENCY - 2)
    expect(await used()).toBe(5)
    await cutOff.giveBack(mine.lease, { unused: 0, finished: 2 })
    await hasRoom(healthy, CONCURRENCY)
    expect(await used()).toBe(5)
  })

  it('a connection that fell silent is replaced, and what it still carries arrives too late', async () => {
    await take(cutOff, 1)
    const resume = proxy.stall()
    await lostTakes(cutOff)
    await hasRoom(cutOff, CONCURRENCY - 1)
    const admin = new Redis(server.address)
    const scriptsRun = async () =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1])
    const before = await scriptsRun()
    // The old connection's takes reach the server only now.
    resume()
    await expect.poll(scriptsRun, { timeout: 5_000 }).toBeGreaterThanOrEqual(before + LOST)
    await admin.quit()
    await hasRoom(healthy, CONCURRENCY - 1)
    expect(await used()).toBe(1)
  })

  it('a process that ends first tells Redis what it had not told it yet', async () => {
    const mine = await take(cutOff, 5)
    await proxy.set({ kind: 'swallow' })
    await cutOff.giveBack(mine.lease, { unused: 5, finished: 0 })
    await endSwallowing()
    await cutOff[Symbol.asyncDispose]()
    expect(await room(healthy)).toBe(CONCURRENCY)
  })

  it('never has more in flight than the limit, nor loses a slot, on a network that fails at random', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = randomFrom(seed).next
    const endMs = performance.now() + 4_000
    let inFlight = 0
    let most = 0
    let sent = 0
    const work = async (limit: RateLimit): Promise<void> => {
      while (performance.now() < endMs) {
        const grant = await limit.take(request(1 + Math.floor(random() * 4))).catch(() => null)
        if (grant?.kind !== 'granted') {
          await sleep(5, { signal })
          continue
        }
        const late = elapsedMs() > grant.useBeforeMs
        const unused = late ? grant.permits : Math.floor(random() * (grant.permits + 1))
        const finished = grant.permits - unused
        inFlight += finished
        sent += finished
        most = Math.max(most, inFlight)
        await sleep(random() * 20, { signal })
        inFlight -= finished
        await limit.giveBack(grant.lease, { unused, finished })
      }
    }
    const disturb = async (): Promise<void> => {
      while (performance.now() < endMs) {
        await sleep(random() * 300, { signal })
        const choice = Math.floor(random() * 4)
        if (choice === 0) proxy.cut()
        if (choice === 1) proxy.stall()
        if (choice === 2) server.freeze()
        if (choice === 3) await proxy.set({ kind: 'swallow' })
        await sleep(random() * 500, { signal })
        server.thaw()
        if (choice === 3) await endSwallowing()
      }
    }
    const workers = Array.from({ length: 12 }, (_, n) => work(n % 3 === 0 ? healthy : cutOff))
    await Promise.all([...workers, disturb()])
    expect(most, `in flight with seed ${seed}`).toBeLessThanOrEqual(CONCURRENCY)
    expect(sent).toBeGreaterThan(50)
    await hasRoom(healthy, CONCURRENCY)
    await hasRoom(cutOff, CONCURRENCY)
    expect(await used(), `used with seed ${seed}`).toBe(sent)
  })
})
