/**
 * Limits of an hour in a Redis that is restarted, loses its last writes, or fails over. If nothing was lost,
 * no process waits for an hour. If something may have been lost, every process does.
 */
import { readdir, readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { Redis } from 'ioredis'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import { startRedisSentinel } from '../../../../deploy/local/redis-topologies.ts'
import { startServices, type LocalService, type LocalServices } from '../../../../deploy/local/services.ts'
import { createRedisRateLimit } from './redis.ts'
import type { Grant, RateLimit } from '../port.ts'

const { signal } = new AbortController()
const HOUR_MS = 3_600_000
const PER_HOUR = 1_000
const SLOT_LIFE_MS = 35_000
/** Windows up to this length are waited out in any case. */
const LONG_MS = 60_000
/** After this time, the absence of a new process would be noticed. */
const NEWCOMER_MS = 3_000

describe.skipIf(inject('redisUrl') === null)('limits of an hour in a Redis that is restarted', () => {
  let services: LocalServices
  let server: LocalService
  let proxy: TcpProxy
  let name = ''
  let offsetMs = 0
  const opened: RateLimit[] = []
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
    offsetMs = 0
  })
  afterEach(async () => {
    await proxy.set({ kind: 'pass' })
    for (const limit of opened.splice(0)) await limit[Symbol.asyncDispose]()
  })

  const open = (url = server.address): RateLimit => {
    const limit = createRedisRateLimit({ url, commandTimeoutMs: 500, clockOffsetMs: () => offsetMs })
    opened.push(limit)
    return limit
  }
  const take = (limit: RateLimit, want: number): Promise<Grant> =>
    limit.take({
      scopes: [{ name, rates: [{ requests: PER_HOUR, windowMs: HOUR_MS }], concurrency: 5_000 }],
      owner: { partition: 'sync/0', marker: 1 },
      want,
      slotLifeMs: SLOT_LIFE_MS,
      signal,
    })
  /** Takes, once Redis answers. */
  const answered = async (limit: RateLimit, want = 1): Promise<Grant> => {
    let grant: Grant | null = null
    const attempt = async () => (grant = await take(limit, want).catch(() => null))
    await expect.poll(attempt, { timeout: 15_000, interval: 50 }).not.toBeNull()
    return grant ?? (await take(limit, want))
  }
  /** Two processes that have been there for long. They were granted 400 and 100 of the thousand. */
  const twoMembers = async (otherUrl?: string): Promise<readonly [RateLimit, RateLimit]> => {
    const members = [open(), open(otherUrl)] as const
    expect(await take(members[0], 400)).toMatchObject({ permits: 400 })
    expect(await take(members[1], 100)).toMatchObject({ kind: 'wait', reason: 'newcomer' })
    offsetMs += NEWCOMER_MS
    expect(await take(members[1], 100)).toMatchObject({ permits: 100 })
    return members
  }
  /** So much time has passed that a process counts as new, though it keeps showing itself. */
  const takeAnew = async (limit: RateLimit, want: number): Promise<Grant> => {
    const first = await take(limit, want)
    if (first.kind === 'granted' || first.reason !== 'newcomer') return first
    offsetMs += NEWCOMER_MS
    return take(limit, want)
  }
  const afterTheShort = () => (offsetMs += LONG_MS + 1_000)

  it('a new process is granted nothing before its absence would be noticed', async () => {
    await twoMembers()
    const newcomer = open()
    const wait = await take(newcomer, 1)
    expect(wait).toMatchObject({ kind: 'wait', reason: 'newcomer' })
    if (wait.kind !== 'wait') return
    expect(wait.waitMs).toBeLessThanOrEqual(NEWCOMER_MS)
    offsetMs += wait.waitMs
    expect(await take(newcomer, 1)).toMatchObject({ kind: 'granted' })
  })

  it.each([
    ['an orderly restart', () => server.restart()],
    [
      'a kill',
      async () => {
        await server.kill()
        await server.start()
      },
    ],
  ])('after %s no process waits for an hour once all vouch that nothing is lost', async (_, restart) => {
    const [first, second] = await twoMembers()
    await restart()
    const early = await answered(first)
    expect(early).toMatchObject({ kind: 'wait', reason: 'forgotten' })
    if (early.kind !== 'wait') return
    expect(early.leftMs, 'not all have vouched yet').toBeGreaterThan(HOUR_MS - 60_000)
    expect(early.waitMs).toBeLessThanOrEqual(1_000)
    expect(await answered(second)).toMatchObject({ reason: 'forgotten' })
    const vouched = await take(first, 1)
    expect(vouched).toMatchObject({ kind: 'wait', reason: 'forgotten' })
    if (vouched.kind === 'wait') expect(vouched.leftMs).toBeLessThanOrEqual(LONG_MS)
    afterTheShort()
    expect(await takeAnew(first, PER_HOUR)).toMatchObject({ permits: PER_HOUR - 500 })
    expect(await takeAnew(second, 1)).toMatchObject({ reason: 'rate' })
  })

  it('a process with nothing to take vouches all the same', async () => {
    const [first] = await twoMembers()
    await server.restart()
    await answered(first)
    const left = async () => {
      const grant = await take(first, 1).catch(() => null)
      return grant?.kind === 'wait' ? grant.leftMs : Infinity
    }
    await expect.poll(left, { timeout: 15_000, interval: 100 }).toBeLessThanOrEqual(LONG_MS)
  })

  it('a process that has left in good order is not waited for', async () => {
    const [first, second] = await twoMembers()
    await second[Symbol.asyncDispose]()
    await server.restart()
    await answered(first)
    const vouched = await take(first, 1)
    expect(vouched).toMatchObject({ reason: 'forgotten' })
    if (vouched.kind === 'wait') expect(vouched.leftMs).toBeLessThanOrEqual(LONG_MS)
  })

  it('the hour is waited out if a process is missing that may know of more grants', async () => {
    const [first] = await twoMembers(`redis://127.0.0.1:${proxy.port}`)
    await proxy.set({ kind: 'refuse' })
    await server.restart()
    await answered(first)
    for (const passMs of [1_000, LONG_MS, 1_000]) {
      offsetMs += passMs
      expect(await take(first, 1)).toMatchObject({ kind: 'wait', reason: 'forgotten' })
    }
    // The missing process is not forgotten over another restart.
    await server.restart()
    await answered(first)
    for (const passMs of [1_000, LONG_MS, HOUR_MS - 120_000 - LONG_MS]) {
      offsetMs += passMs
      expect(await take(first, 1)).toMatchObject({ kind: 'wait', reason: 'forgotten' })
    }
    offsetMs += 130_000
    expect(await takeAnew(first, 1)).toMatchObject({ kind: 'granted' })
  })

  it('the hour is waited out if a process has seen a grant that is missing, whichever process asks first', async () => {
    const [first, second] = await twoMembers()
    const [, folder = ''] = await config('dir')
    const before = await aofOf(folder)
    expect(await take(second, 7)).toMatchObject({ permits: 7 })
    await server.kill()
    await truncate(before.file, before.bytes)
    await server.start()
    expect(await answered(first)).toMatchObject({ reason: 'forgotten' })
    expect(await answered(second)).toMatchObject({ reason: 'forgotten' })
    afterTheShort()
    const wait = await take(first, 1)
    expect(wait).toMatchObject({ kind: 'wait', reason: 'forgotten' })
    if (wait.kind === 'wait') expect(wait.leftMs).toBeGreaterThan(HOUR_MS - 180_000)
    // Another restart does not change that.
    await server.restart()
    await answered(second)
    expect(await answered(first)).toMatchObject({ reason: 'forgotten' })
    afterTheShort()
    expect(await take(first, 1)).toMatchObject({ kind: 'wait', reason: 'forgotten' })
  })

  it('a replica that has become the master may lack grants: the hour is waited out', async () => {
    await using topology = await startRedisSentinel()
    const limit = open(topology.url)
    expect(await answered(limit, 10)).toMatchObject({ permits: 10 })
    const replica = new Redis(topology.nodes[1]?.address ?? '')
    await expect.poll(() => replica.keys('*:meta'), { timeout: 5_000 }).toHaveLength(1)
    await replica.quit()
    await topology.nodes[0]?.kill()
    expect(await answered(limit)).toMatchObject({ kind: 'wait', reason: 'forgotten' })
    afterTheShort()
    const wait = await take(limit, 1)
    expect(wait).toMatchObject({ kind: 'wait', reason: 'forgotten' })
    if (wait.kind === 'wait') expect(wait.leftMs).toBeGreaterThan(HOUR_MS - 180_000)
    offsetMs += HOUR_MS
    expect(await takeAnew(limit, 1)).toMatchObject({ kind: 'granted' })
  })

  const config = async (setting: string): Promise<string[]> => {
    const admin = new Redis(server.address)
    const answer = await admin.config('GET', setting)
    await admin.quit()
    return answer
  }
})

/** The file that Redis appends to, and how long it is. */
async function aofOf(folder: string): Promise<{ readonly file: string; readonly bytes: number }> {
  const logs = join(folder, 'appendonlydir')
  const newest = (await readdir(logs)).filter(each => each.endsWith('.incr.aof')).toSorted()
  const file = join(logs, newest.at(-1) ?? '')
  return { file, bytes: (await readFile(file)).length }
}
