/** The promises of locks, with a Redis cluster: each name is on one of its nodes. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, inject } from 'vitest'
import { startRedisCluster, type RedisTopology } from '../../../../deploy/local/redis-topologies.ts'
import { locksContract } from '../../test/contract.ts'
import type { Locks } from '../port.ts'
import { createRedisLocks } from './redis.ts'

describe.skipIf(inject('redisUrl') === null)('with a cluster', () => {
  let topology: RedisTopology
  beforeAll(async () => {
    topology = await startRedisCluster()
  })
  afterAll(() => topology?.[Symbol.asyncDispose]())

  locksContract('redis with a cluster', () => {
    const prefix = `test-${randomUUID()}`
    const opened: Locks[] = []
    return Promise.resolve({
      open() {
        const locks = createRedisLocks({ url: topology.url, prefix, lifeMs: 2_000 })
        opened.push(locks)
        return locks
      },
      async [Symbol.asyncDispose]() {
        for (const locks of opened) await locks[Symbol.asyncDispose]()
      },
    })
  })
})
