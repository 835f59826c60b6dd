/** The promises of holds, with a Redis cluster: each name is on one of its nodes. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, inject } from 'vitest'
import { startRedisCluster, type RedisTopology } from '../../../../deploy/local/redis-topologies.ts'
import { holdsContract } from '../../test/contract.ts'
import type { Holds } from '../port.ts'
import { createRedisHolds } from './redis.ts'

describe.skipIf(inject('redisUrl') === null)('with a cluster', () => {
  let topology: RedisTopology
  beforeAll(async () => {
    topology = await startRedisCluster()
  })
  afterAll(() => topology?.[Symbol.asyncDispose]())

  holdsContract('redis with a cluster', () => {
    const prefix = `test-${randomUUID()}`
    const opened: Holds[] = []
    return Promise.resolve({
      open() {
        const holds = createRedisHolds({ url: topology.url, prefix, lifeMs: 2_000 })
        opened.push(holds)
        return holds
      },
      async [Symbol.asyncDispose]() {
        for (const holds of opened) await holds[Symbol.asyncDispose]()
      },
    })
  })
})
