/** The connection on real servers of Redis that fail over, or are a cluster. */
import { Redis } from 'ioredis'
import { afterEach, describe, expect, inject, it } from 'vitest'
import { startRedisCluster, startRedisSentinel } from '../../../deploy/local/redis-topologies.ts'
import { run, runsAgain, SCRIPT, WatchedConnections } from '../test/watched-connections.ts'
import type { RedisConnection } from './redis-connection.ts'

describe.skipIf(inject('redisUrl') === null)('the connection to several servers of Redis', () => {
  const connections = new WatchedConnections()
  const { told } = connections
  afterEach(() => connections.close())
  const connect = (url = ''): RedisConnection => connections.connect(url)

  it('follows the sentinels to the new master when the old one dies', async () => {
    await using topology = await startRedisSentinel()
    const connection = connect(topology.url)
    await runsAgain(connection)
    await topology.nodes[0]?.kill()
    await expect(run(connection)).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('redis+sentinel://127.0.0.1:'),
    })
    await runsAgain(connection, 20_000)
    const replica = new Redis(topology.nodes[1]?.address ?? '')
    expect(await replica.role()).toContain('master')
    expect(Number(await replica.get('test'))).toBeGreaterThan(0)
    await replica.quit()
    expect(told.at(-1)).toBeNull()
  })

  it('finds the keys of a cluster, whichever node has them, and waits for a node that is down', async () => {
    await using topology = await startRedisCluster()
    const connection = connect(topology.url)
    const names = Array.from({ length: 30 }, (_, n) => `test:{${n}}`)
    const all = () => Promise.all(names.map(name => connection.run(SCRIPT, name, [])))
    await expect.poll(() => all().catch(() => null), { timeout: 10_000 }).toHaveLength(30)
    const node = new Redis(topology.nodes[0]?.address ?? '')
    expect(await node.dbsize()).toBeGreaterThan(0)
    expect(await node.dbsize()).toBeLessThan(30)
    await node.quit()

    await topology.nodes[0]?.kill()
    await expect
      .poll(() => all().catch((error: unknown) => error), { timeout: 20_000 })
      .toMatchObject({ code: 'unreachable', retryable: true })
    await topology.nodes[0]?.start()
    await expect.poll(() => all().catch(() => null), { timeout: 20_000 }).toHaveLength(30)
    const alone = connect(topology.nodes[1]?.address)
    const lost = await Promise.all(
      names.map(name => alone.run(SCRIPT, name, []).catch((error: unknown) => error)),
    )
    expect(lost).toContainEqual(
      expect.objectContaining({ code: 'config', message: expect.stringContaining('redis+cluster://') }),
    )
  })
})
