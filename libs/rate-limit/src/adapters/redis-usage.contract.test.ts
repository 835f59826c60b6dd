import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { listedRedisRights } from '@sluice/testkit/listed-rights'
import { startServices, type LocalService, type LocalServices } from '../../../../deploy/local/services.ts'
import { usagePromises, type UsageHarness } from '../../test/usage-promises.ts'
import { createRedisRateLimit } from './redis.ts'
import { createRedisLimitUsage } from './redis-usage.ts'

const url = inject('redisUrl')
const DESTINATION = 'destination/api'

describe.skipIf(url === null)('with Redis', () => {
  const open = async (by: 'the limits' | 'another process'): Promise<UsageHarness> => {
    const address = url ?? ''
    const admin = new Redis(address)
    await admin.config('SET', 'appendonly', 'yes')
    const prefix = `test-${Math.random().toString(36).slice(2)}`
    let offsetMs = 0
    const options = { url: address, prefix, clockOffsetMs: () => offsetMs }
    const limit = createRedisRateLimit(options)
    const other = createRedisLimitUsage(options)
    return {
      limit,
      usage: by === 'the limits' ? limit : other,
      async pass(ms) {
        offsetMs += ms
      },
      async close() {
        await Promise.all([limit[Symbol.asyncDispose](), other[Symbol.asyncDispose]()])
        const keys = await admin.keys(`${prefix}:*`)
        if (keys.length > 0) await admin.del(...keys)
        await admin.quit()
      },
    }
  }
  usagePromises('told by those who keep to them', () => open('the limits'))
  usagePromises('told by a process that sends nothing', () => open('another process'))

  it.each(['x', 'nan', '-1e308', '1e308', '99999999999999999999', '-5', '', 'null'])(
    'tells no figure of slots that a stranger has written as %j',
    async garbage => {
      const { limit: _, usage, close } = await open('another process')
      const admin = new Redis(url ?? '')
      const prefix = `test-${Math.random().toString(36).slice(2)}`
      await using stranger = createRedisLimitUsage({ url: url ?? '', prefix })
      const slots = `${prefix}:limits:{${DESTINATION}}:slots`
      await admin.hset(slots, DESTINATION, garbage)
      expect(await stranger.slotsTaken(DESTINATION)).toBeNull()
      expect(await usage.slotsTaken(DESTINATION)).toBe(0)
      await admin.del(slots)
      await admin.quit()
      await close()
    },
  )

  describe('of its own', () => {
    let services: LocalServices
    let redis: LocalService
    beforeAll(async () => {
      services = await startServices(['redis'], { engine: 'native' })
      redis = services.get('redis')
    })
    afterAll(() => services?.stop())

    it('needs no more rights than docs/OPERATIONS.md lists, and none to change the limits', async () => {
      const listed = await listedRedisRights()
      const needed = ['+evalsha', '+eval', '+time', '+hget', '+zrangebyscore']
      const connecting = ['+hello', '+auth', '+select', '+client', '+ping', '+quit', '+info']
      expect(listed).toEqual(expect.arrayContaining([...needed, ...connecting]))
      const admin = new Redis(redis.address)
      await admin.call(
        ...(['ACL', 'SETUSER', 'looker', 'on', '>secret', '~sluice:*', ...needed, ...connecting] as const),
      )
      await using limit = createRedisRateLimit({ url: redis.address })
      const grant = await limit.take({
        scopes: [{ name: DESTINATION, rates: [], concurrency: 100 }],
        owner: { partition: 'sync/0', marker: 1 },
        ...{ want: 3, slotLifeMs: 5_000, signal: new AbortController().signal },
      })
      expect(grant).toMatchObject({ permits: 3 })
      const { host } = new URL(redis.address)
      await using usage = createRedisLimitUsage({ url: `redis://looker:secret@${host}`, prefix: 'sluice' })
      const before = await admin.keys('*')
      expect(await usage.slotsTaken(DESTINATION)).toBe(3)
      expect((await admin.keys('*')).toSorted()).toEqual(before.toSorted())
      await admin.quit()
    })

    it('rejects while Redis is away, and tells again by itself', async () => {
      const options = { url: redis.address, prefix: 'sluice', commandTimeoutMs: 300 }
      await using usage = createRedisLimitUsage(options)
      expect(await usage.slotsTaken('destination/none')).toBe(0)
      redis.freeze()
      await expect(usage.slotsTaken('destination/none')).rejects.toMatchObject({ code: 'unreachable' })
      redis.thaw()
      const again = (): Promise<number | null> => usage.slotsTaken('destination/none').catch(() => null)
      await expect.poll(again, { timeout: 10_000 }).toBe(0)
    })
  })
})
