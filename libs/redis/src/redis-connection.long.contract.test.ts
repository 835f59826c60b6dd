/** The connection on real servers of Redis that fail over, or are a cluster. */
import { Redis } from 'ioredis'
import { afterEach, describe, expect, inject, it } from 'vitest'
import { startRedisCluster, startRedisSentinel } from '../../../deploy/local/redis-topologies.ts'
import { connectRedis, redisScript, type RedisConnection } from './redis-connection.ts'

/** What the scripts of the limits do: look at the server, read and write. */
const SCRIPT = redisScript(`
redis.call('INFO', 'server')
return redis.call('INCR', KEYS[1])`)
const TIMEOUT_MS = 400

describe.skipIf(inject('redisUrl') === null)('the connection to several servers of Redis', () => {
  const opened: RedisConnection[] = []
  /** The refusals that were reported, in order; null for "all is well". */
  const told: (string | null)[] = []
  afterEach(async () => {
    for (const connection of opened.splice(0)) await connection[Symbol.asyncDispose]()
    told.length = 0
  })

  const connect = (url = ''): RedisConnection => {
    const onTrouble = (trouble: Error | null) => told.push(trouble?.message ?? null)
    const connection = connectRedis({ url, commandTimeoutMs: TIMEOUT_MS, silenceMs: 10_000, onTrouble })
    opened.push(connection)
    return connection
  }
  const run = (connection: RedisConnection) => connection.run(SCRIPT, 'test', [])
  const runsAgain = (connection: RedisConnection, timeout = 15_000) =>
    expect
      .poll(() => run(connection).catch(() => null), { timeout, interval: 20 })
      .toEqual(expect.any(Number))

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
