import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { Redis } from 'ioredis'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { createRedisLocks } from '@sluice/partition/adapters/redis'
import { listedRedisRights } from '@sluice/testkit/listed-rights'
import { startServices, type LocalService, type LocalServices } from '../../../../deploy/local/services.ts'
import { rateLimitContract } from '../../test/contract.ts'
import { createRedisRateLimit } from './redis.ts'
import { MAX_PAUSE_MS, type RateLimit, type TakeRequest } from '../port.ts'

const url = inject('redisUrl')

describe.skipIf(url === null)('with Redis', () => {
  rateLimitContract('redis', { shared: true }, async () => {
    const address = url ?? ''
    const admin = new Redis(address)
    // The log has to be on in production. Only then does an empty database mean that nothing was ever
    // granted.
    await admin.config('SET', 'appendonly', 'yes')
    const prefix = `test-${Math.random().toString(36).slice(2)}`
    const opened: RateLimit[] = []
    let offsetMs = 0
    const now = () => performance.timeOrigin + performance.now() + offsetMs
    return {
      async open() {
        const limit = createRedisRateLimit({ url: address, prefix, clockOffsetMs: () => offsetMs })
        opened.push(limit)
        return limit
      },
      now,
      async pass(ms) {
        offsetMs += Math.ceil(ms)
      },
      deadline: grant =>
        performance.timeOrigin + performance.now() + offsetMs + grant.useBeforeMs - elapsedMs(),
      async close() {
        for (const limit of opened) await limit[Symbol.asyncDispose]()
        const keys = await admin.keys(`${prefix}:*`)
        if (keys.length > 0) await admin.del(...keys)
        await admin.quit()
      },
    }
  })

  describe('that fails', () => {
    let services: LocalServices
    let redis: LocalService
    let limit: RateLimit
    let offsetMs = 0
    beforeAll(async () => {
      services = await startServices(['redis'], { forgetfulRedis: true })
      redis = services.get('redis')
    })
    afterAll(() => services.stop())
    beforeEach(() => {
      offsetMs = 0
      limit = open()
    })
    afterEach(() => limit[Symbol.asyncDispose]())

    const open = () =>
      createRedisRateLimit({ url: redis.address, commandTimeoutMs: 300, clockOffsetMs: () => offsetMs })
    const request = (name: string, over: Partial<TakeRequest> = {}): TakeRequest => ({
      scopes: [{ name, rates: [{ requests: 10, windowMs: 60_000 }], concurrency: 100 }],
      owner: { partition: 'sync/0', marker: 1 },
      want: 10,
      slotLifeMs: 5000,
      signal: new AbortController().signal,
      ...over,
    })
    /** Takes until Redis answers again. */
    const takeOnceUp = (name: string) =>
      expect
        .poll(() => limit.take(request(name)).catch(() => null), { timeout: 10_000, interval: 50 })
        .not.toBeNull()
    const withAdmin = async (work: (admin: Redis) => Promise<unknown>) => {
      const admin = new Redis(redis.address)
      await work(admin)
      await admin.quit()
    }

    it('an empty Redis without a log of its own grants nothing until all that it may have forgotten has run out', async () => {
      const first = await limit.take(request('destination/fresh'))
      expect(first).toMatchObject({ kind: 'wait', reason: 'forgotten' })
      offsetMs += 30_000
      expect(await limit.take(request('destination/fresh'))).toMatchObject({ reason: 'forgotten' })
      offsetMs += 31_000
      expect(await limit.take(request('destination/fresh'))).toMatchObject({ permits: 10 })
    })

    it('after a restart from a snapshot nothing is granted until all that it lacks has run out', async () => {
      await withAdmin(admin => admin.config('SET', 'appendonly', 'yes'))
      await limit.take(request('destination/old', { want: 1 }))
      await withAdmin(admin => admin.save())
      expect(await limit.take(request('destination/old'))).toMatchObject({ permits: 9 })
      await redis.kill()
      await redis.start()
      await takeOnceUp('destination/old')
      expect(await limit.take(request('destination/old'))).toMatchObject({ reason: 'forgotten' })
      offsetMs += 59_000
      expect(await limit.take(request('destination/old'))).toMatchObject({ reason: 'forgotten' })
      offsetMs += 2_000
      expect(await limit.take(request('destination/old'))).toMatchObject({ permits: 10 })
    })

    it('after a flush nothing is granted until all that it took away has run out, whichever process asks first', async () => {
      await withAdmin(admin => admin.config('SET', 'appendonly', 'yes'))
      await using newcomer = open()
      for (const asksFirst of [limit, newcomer]) {
        const name = `destination/flushed-${asksFirst === limit ? 'same' : 'other'}`
        await limit.take(request(name))
        offsetMs += 66_000
        expect(await limit.take(request(name))).toMatchObject({ permits: 10 })
        await withAdmin(admin => admin.flushall())
        // A process that has never seen the destination cannot know. One that has seen it tells all others.
        await asksFirst.take(request(name, { want: 1 }))
        expect(await limit.take(request(name))).toMatchObject({ reason: 'forgotten' })
        expect(await newcomer.take(request(name))).toMatchObject({ reason: 'forgotten' })
        offsetMs += 59_000
        expect(await limit.take(request(name))).toMatchObject({ reason: 'forgotten' })
        offsetMs += 2_000
        expect(await newcomer.take(request(name))).toMatchObject({ kind: 'granted' })
      }
    })

    it('pauses for no longer than the longest pause, though its clock was set back since', async () => {
      await takeOnceUp('destination/clock')
      offsetMs += 86_400_000
      await limit.pause('destination/clock', 1000)
      offsetMs -= 86_300_000
      const wait = await limit.take(request('destination/clock'))
      expect(wait).toMatchObject({ reason: 'paused', waitMs: MAX_PAUSE_MS })
      offsetMs += MAX_PAUSE_MS
      expect(await limit.take(request('destination/clock'))).toMatchObject({ permits: 10 })
    })

    it('is unreachable while it is down or frozen, within the time of a command, and back by itself', async () => {
      await limit.take(request('destination/down'))
      for (const [stop, start] of [
        [() => redis.kill(), () => redis.start()],
        [async () => redis.freeze(), async () => redis.thaw()],
      ] as const) {
        await stop()
        const before = performance.now()
        await expect(limit.take(request('destination/down'))).rejects.toMatchObject({
          code: 'unreachable',
          retryable: true,
          message: expect.stringContaining(redis.address.replace('redis://', '')),
        })
        expect(performance.now() - before).toBeLessThan(1500)
        await start()
        await takeOnceUp('destination/down')
      }
    })

    it('an abort ends a take that waits for an answer, and its grant comes back', async () => {
      await takeOnceUp('destination/abort')
      offsetMs += 120_000
      redis.freeze()
      const abort = new AbortController()
      const taking = limit.take(request('destination/abort', { signal: abort.signal }))
      const reason = new Error('shutting down')
      setImmediate(() => abort.abort(reason))
      await expect(taking).rejects.toBe(reason)
      redis.thaw()
      await expect
        .poll(() => limit.take(request('destination/abort', { want: 10 })).catch(() => null), {
          timeout: 10_000,
        })
        .toMatchObject({ kind: 'granted', permits: 10 })
    })

    it('keeps for ever only what there is one of for each destination and scope', async () => {
      const name = 'destination/bounded'
      await takeOnceUp(name)
      offsetMs += 120_000
      for (let n = 0; n < 50; n += 1) {
        const owner = { partition: `sync/${n}`, marker: 1 }
        const grant = await limit.take(request(name, { owner, want: 1 }))
        if (grant.kind === 'granted') await limit.giveBack(grant.lease, { unused: 1, finished: 0 })
      }
      const abort = new AbortController()
      const given = limit.take(request(name, { signal: abort.signal }))
      abort.abort(new Error('no longer wanted'))
      await expect(given).rejects.toThrow('no longer wanted')
      await withAdmin(async admin => {
        const base = `sluice:limits:{${name}}`
        await expect.poll(() => admin.exists(`${base}:leases`), { timeout: 5_000 }).toBe(0)
        const kept = []
        for (const key of await admin.keys(`sluice:limits:{${name}}*`))
          if ((await admin.pttl(key)) === -1) kept.push(key.slice(base.length))
        expect(kept.toSorted()).toEqual([':meta', `:windows:${name}`])
        expect(await admin.pttl(`${base}:holder:sync/0`)).toBeGreaterThan(6 * 86_400_000)
      })
    })

    it('gives slots to a line whose lease an earlier version ended', async () => {
      const name = 'destination/mixed'
      await takeOnceUp(name)
      offsetMs += 120_000
      const one = { scopes: [{ name, rates: [], concurrency: 1 }], line: 'people', shared: true, want: 1 }
      const grant = await limit.take(request(name, one))
      // Earlier versions count no slots of a line. So one that ends the lease of a dead process leaves its
      // count.
      await withAdmin(admin => admin.hset(`sluice:limits:{${name}}:held`, 'people', 5))
      if (grant.kind === 'granted') await limit.giveBack(grant.lease, { unused: 0, finished: 1 })
      await expect.poll(() => limit.take(request(name, one))).toMatchObject({ kind: 'granted' })
    })

    it('needs no more rights than docs/OPERATIONS.md lists', async () => {
      const rights = await listedRedisRights()
      expect(rights.length).toBeGreaterThan(20)
      await withAdmin(admin =>
        admin.call('ACL', 'SETUSER', 'sluice', 'on', '>secret', '~sluice:*', ...rights),
      )
      const { host } = new URL(redis.address)
      const url = `redis://sluice:secret@${host}`
      await using limited = createRedisRateLimit({ url, clockOffsetMs: () => offsetMs })
      offsetMs += 86_400_000
      const name = 'destination/rights'
      const rates = [{ requests: 10, windowMs: 3_600_000 }]
      const hourly = (over: Partial<TakeRequest> = {}) =>
        limited.take(request(name, { scopes: [{ name, rates, concurrency: 3 }], ...over }))
      await hourly()
      offsetMs += 7_200_000
      await hourly()
      offsetMs += 3_000
      const grant = await hourly()
      expect(grant).toMatchObject({ permits: 3 })
      expect(await hourly()).toMatchObject({ reason: 'concurrency' })
      if (grant.kind === 'granted') await limited.giveBack(grant.lease, { unused: 1, finished: 2 })
      const abort = new AbortController()
      const taking = hourly({ signal: abort.signal, want: 1 })
      abort.abort(new Error('no longer wanted'))
      await expect(taking).rejects.toThrow('no longer wanted')
      await limited.pause(name, 1)
      offsetMs += 10
      expect(await hourly({ want: 1 })).toMatchObject({ kind: 'granted' })
      offsetMs += 7_200_000
      expect(await hourly()).toMatchObject({ kind: 'wait' })

      await using locks = createRedisLocks({ url })
      const lock = await locks.acquire('a', { signal: new AbortController().signal })
      expect(lock.held).toBe(true)
      expect([limited.trouble, locks.trouble]).toEqual([null, null])
    })

    it('a server that has lost its scripts gets them again', async () => {
      await takeOnceUp('destination/scripts')
      offsetMs += 120_000
      await withAdmin(admin => admin.script('FLUSH'))
      const grant = await limit.take(request('destination/scripts', { want: 3 }))
      expect(grant).toMatchObject({ permits: 3 })
      await withAdmin(admin => admin.script('FLUSH'))
      if (grant.kind === 'granted') await limit.giveBack(grant.lease, { unused: 3, finished: 0 })
      expect(await limit.take(request('destination/scripts'))).toMatchObject({ permits: 10 })
    })

    it('giving back more than a lease has is a fault that names it', async () => {
      await takeOnceUp('destination/fault')
      offsetMs += 120_000
      const grant = await limit.take(request('destination/fault', { want: 3 }))
      if (grant.kind !== 'granted') throw new Error('there is room')
      await limit.giveBack(grant.lease, { unused: 2, finished: 0 })
      await expect(limit.giveBack(grant.lease, { unused: 0, finished: 2 })).rejects.toMatchObject({
        code: 'internal',
        message: expect.stringContaining('has 1 requests left, not 2'),
      })
    })
  })

  it.each(['', 'http://localhost', 'redis+sentinel://localhost'])('refuses the address %j', address => {
    expect(() => createRedisRateLimit({ url: address })).toThrow(expect.objectContaining({ code: 'config' }))
  })
})
