/**
 * Another tenant of Redis writes into the keys of the limits. What comes of it is an answer that passes or an
 * error that does: no process ends, and nobody gets more than was asked for.
 */
import { Redis } from 'ioredis'
import { isSluiceError } from '@sluice/contracts/errors'
import { createRedisLocks } from '@sluice/partition/adapters/redis'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import type { RateLimit, TakeRequest } from '../port.ts'
import { createRedisRateLimit } from './redis.ts'

const url = inject('redisUrl')
const GARBAGE = [
  'x',
  'nan',
  '-1e308',
  '1e308',
  '99999999999999999999',
  '-5',
  '',
  'null',
  '0 9999999999999',
  'inf',
]
const { signal } = new AbortController()
const REQUEST: TakeRequest = {
  scopes: [
    {
      name: 'd',
      rates: [
        { requests: 100, windowMs: 1_000 },
        { requests: 1_000, windowMs: 3_600_000 },
      ],
      concurrency: 10,
    },
  ],
  owner: { partition: 'p', marker: 1 },
  ...{ want: 5, slotLifeMs: 1_000, signal },
}

describe.skipIf(url === null)('keys of Redis that a stranger has written', () => {
  let admin: Redis
  let limit: RateLimit
  let prefix: string

  beforeEach(() => {
    admin = new Redis(url ?? '')
    prefix = `test-${Math.random().toString(36).slice(2)}`
    limit = createRedisRateLimit({ url: url ?? '', prefix })
  })
  afterEach(async () => {
    await limit[Symbol.asyncDispose]()
    await forget()
    await admin.quit()
  })

  async function forget(): Promise<void> {
    const keys = await admin.keys(`${prefix}:*`)
    if (keys.length > 0) await admin.del(...keys)
  }

  /** Each place that the limits have written, and how to write garbage there. */
  async function places(): Promise<readonly ((garbage: string) => Promise<unknown>)[]> {
    const all: ((garbage: string) => Promise<unknown>)[] = []
    for (const key of (await admin.keys(`${prefix}:*`)).toSorted()) {
      const type = await admin.type(key)
      if (type === 'string') all.push(garbage => admin.set(key, garbage))
      if (type === 'zset') all.push(garbage => admin.zadd(key, '-inf', garbage))
      if (type !== 'hash') continue
      for (const field of await admin.hkeys(key)) all.push(garbage => admin.hset(key, field, garbage))
    }
    return all
  }

  async function outcome(): Promise<string> {
    try {
      const grant = await limit.take(REQUEST)
      if (grant.kind === 'wait')
        return grant.waitMs >= -1_000 && grant.waitMs < 4e12 ? 'fine' : `waits ${grant.waitMs}`
      await limit.giveBack(grant.lease, { unused: 1, finished: 1 })
      return grant.permits > 0 && grant.permits <= 5 ? 'fine' : `granted ${grant.permits}`
    } catch (error) {
      return isSluiceError(error) && error.retryable ? 'fine' : String(error)
    }
  }

  it('end no process, and give nobody more than was asked for', { timeout: 60_000 }, async () => {
    expect(await outcome()).toBe('fine')
    const count = (await places()).length
    expect(count).toBeGreaterThan(5)
    for (let place = 0; place < count; place += 1)
      for (const garbage of GARBAGE) {
        await forget()
        for (let take = 0; take < 2; take += 1) await outcome()
        const write = (await places())[place]
        await write?.(garbage)
        expect(await outcome(), `${JSON.stringify(garbage)} at place ${place}`).toBe('fine')
      }
  })

  it('that another type has hold up nobody for ever without a word', async () => {
    await using locks = createRedisLocks({ url: url ?? '', prefix })
    await admin.lpush(`${prefix}:hold:b`, 'x')
    await expect(locks.acquire('b', { signal })).rejects.toThrow(/keys of another program under our prefix/)
  })
})
