/** The promises of a rate limit, with a Redis cluster and with a master that sentinels name. */
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { afterAll, beforeAll, describe, inject } from 'vitest'
import {
  startRedisCluster,
  startRedisSentinel,
  type RedisTopology,
} from '../../../../deploy/local/redis-topologies.ts'
import { rateLimitContract } from '../../test/contract.ts'
import { createRedisRateLimit } from './redis.ts'
import type { RateLimit } from '../port.ts'

describe.skipIf(inject('redisUrl') === null).each([
  ['a cluster', startRedisCluster],
  ['sentinels', startRedisSentinel],
] as const)('with %s', (what, start) => {
  let topology: RedisTopology
  beforeAll(async () => {
    topology = await start()
  })
  afterAll(() => topology?.[Symbol.asyncDispose]())

  rateLimitContract(`redis with ${what}`, { shared: true }, async () => {
    const prefix = `test-${Math.random().toString(36).slice(2)}`
    const opened: RateLimit[] = []
    let offsetMs = 0
    return Promise.resolve({
      async open() {
        const options = { url: topology.url, prefix, clockOffsetMs: () => offsetMs }
        const limit = createRedisRateLimit(options)
        opened.push(limit)
        return Promise.resolve(limit)
      },
      now: () => performance.timeOrigin + performance.now() + offsetMs,
      pass(ms: number) {
        offsetMs += Math.ceil(ms)
        return Promise.resolve()
      },
      deadline: (grant: { readonly useBeforeMs: number }) =>
        performance.timeOrigin + performance.now() + offsetMs + grant.useBeforeMs - elapsedMs(),
      async close() {
        for (const limit of opened) await limit[Symbol.asyncDispose]()
      },
    })
  })
})
