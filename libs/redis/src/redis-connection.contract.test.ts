/**
 * The connection on a real Redis that is made to refuse and to fall silent.
 * The servers belong to this file alone, since no other test could use them meanwhile.
 */
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import { startServices, type LocalService, type LocalServices } from '../../../deploy/local/services.ts'
import { run, runsAgain, WatchedConnections } from '../test/watched-connections.ts'
import type { RedisConnection } from './redis-connection.ts'

describe.skipIf(inject('redisUrl') === null)('the connection to Redis', () => {
  let services: LocalServices
  let server: LocalService
  let admin: Redis
  const connections = new WatchedConnections()
  const { told } = connections
  beforeAll(async () => {
    services = await startServices(['redis'], { engine: 'native' })
    server = services.get('redis')
    admin = new Redis(server.address)
    admin.on('error', () => {})
    await admin.config('SET', 'busy-reply-threshold', '50')
  })
  afterAll(async () => {
    admin?.disconnect()
    await services?.stop()
  })
  afterEach(() => connections.close())

  const connect = (url = server.address, silenceMs?: number): RedisConnection =>
    connections.connect(url, silenceMs)
  const set = (name: string, value: string) => admin.config('SET', name, value)
  const withoutMaster = async () => {
    await admin.call('REPLICAOF', '127.0.0.1', '1')
  }
  const mended = async () => {
    await admin.call('REPLICAOF', 'NO', 'ONE')
    await set('replica-serve-stale-data', 'yes')
  }

  interface Provoked {
    readonly word: string
    readonly code: 'unreachable' | 'config'
    readonly provoke: () => Promise<unknown>
    readonly mend: () => Promise<unknown>
  }
  const REFUSALS: readonly Provoked[] = [
    {
      word: 'OOM',
      code: 'unreachable',
      provoke: () => set('maxmemory', '1'),
      mend: () => set('maxmemory', '0'),
    },
    { word: 'READONLY', code: 'unreachable', provoke: withoutMaster, mend: mended },
    {
      word: 'MASTERDOWN',
      code: 'unreachable',
      provoke: async () => {
        await set('replica-serve-stale-data', 'no')
        await withoutMaster()
      },
      mend: mended,
    },
    {
      word: 'NOREPLICAS',
      code: 'unreachable',
      provoke: () => set('min-replicas-to-write', '1'),
      mend: () => set('min-replicas-to-write', '0'),
    },
    {
      word: 'BUSY',
      code: 'unreachable',
      provoke: async () => {
        const busy = new Redis(server.address)
        busy.eval('while true do end', 0).catch(() => busy.disconnect())
        // Until then it answers no client, which this test is not about.
        await expect.poll(() => admin.ping().catch(String), { timeout: 5_000 }).toContain('BUSY')
      },
      mend: () => admin.script('KILL'),
    },
    {
      word: "can't run this command",
      code: 'config',
      provoke: () => admin.call('ACL', 'SETUSER', 'default', '-info'),
      mend: () => admin.call('ACL', 'SETUSER', 'default', '+info'),
    },
    {
      word: 'evalsha',
      code: 'config',
      provoke: () => admin.call('ACL', 'SETUSER', 'default', '-evalsha', '-eval'),
      mend: () => admin.call('ACL', 'SETUSER', 'default', '+evalsha', '+eval'),
    },
    {
      // It says so and closes at once. The reset may overtake its words.
      word: '(maxclients|does not answer)',
      code: 'unreachable',
      provoke: async () => {
        await set('maxclients', '1')
        await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      },
      mend: () => set('maxclients', '1000'),
    },
  ]

  it.each(REFUSALS)(
    'waits out $word, tells of it once, and goes on',
    async ({ word, code, provoke, mend }) => {
      const connection = connect()
      await runsAgain(connection)
      try {
        await provoke()
        for (let n = 0; n < 3; n += 1)
          await expect(run(connection)).rejects.toMatchObject({ code, retryable: true })
        await expect
          .poll(() => run(connection).catch((error: unknown) => (error as Error).message), { timeout: 5_000 })
          .toMatch(new RegExp(`^Redis at redis://127.0.0.1:\\d+ .*${word}`, 'is'))
        expect(connection.trouble).toMatchObject({ code })
      } finally {
        await mend()
      }
      await runsAgain(connection)
      expect(connection.trouble).toBeNull()
      // The connection itself may break first, before Redis says why.
      expect(told.at(-1)).toBeNull()
      expect(told.length, told.join('\n')).toBeLessThanOrEqual(word.includes('maxclients') ? 4 : 2)
    },
  )

  it('notices by itself that a refusal is over', async () => {
    const connection = connect()
    await runsAgain(connection)
    await set('maxmemory', '1')
    await expect(run(connection)).rejects.toMatchObject({ code: 'unreachable' })
    await set('maxmemory', '0')
    await expect.poll(() => connection.trouble, { timeout: 10_000 }).toBeNull()
  })

  it('tells of a missing right once, however long it is missing', async () => {
    const connection = connect()
    await runsAgain(connection)
    await admin.call('ACL', 'SETUSER', 'default', '-info')
    const untilMs = performance.now() + 5_000
    const failed = async () => {
      await expect(run(connection)).rejects.toMatchObject({ code: 'config' })
      return performance.now()
    }
    await expect.poll(failed, { timeout: 10_000, interval: 200 }).toBeGreaterThan(untilMs)
    await admin.call('ACL', 'SETUSER', 'default', '+info')
    await runsAgain(connection)
    expect(told).toEqual([expect.stringContaining('denies a right'), null])
  })

  it.each([
    ['/99', 'DB index is out of range'],
    ['/x', 'number of a database'],
  ])('refuses at the start what waiting does not mend: database %s', async (path, word) => {
    const before = await admin.dbsize()
    const attempt = async () => run(connect(`${server.address}${path}`))
    await expect(attempt()).rejects.toMatchObject({
      code: 'config',
      retryable: false,
      message: expect.stringContaining(word),
    })
    expect(await admin.dbsize(), 'it went on in database 0').toBe(before)
  })

  it('refuses at the start a wrong login, a missing one, and one that lacks a right', async () => {
    await admin.call('ACL', 'SETUSER', 'u', 'on', '>right', '~*', '+@all', '-info')
    const address = new URL(server.address).host
    const rejected = (login: string, word: string) =>
      expect(run(connect(`redis://${login}@${address}`))).rejects.toMatchObject({
        code: 'config',
        retryable: false,
        message: expect.stringContaining(word),
      })
    await rejected('u:wrong', 'WRONGPASS')
    await rejected('u:right', 'right that Sluice needs')
    await admin.call('ACL', 'SETUSER', 'default', '>secret')
    try {
      await expect(run(connect())).rejects.toMatchObject({
        code: 'config',
        message: expect.stringContaining('NOAUTH'),
      })
    } finally {
      await admin.call('ACL', 'SETUSER', 'default', 'nopass')
    }
  })

  it('a server that is no cluster is told as that', async () => {
    const { host } = new URL(server.address)
    await expect(run(connect(`redis+cluster://${host}`))).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('write SLUICE_REDIS_URL as redis://'),
    })
  })

  describe('on a network that fails', () => {
    let proxy: TcpProxy
    beforeAll(async () => {
      const { hostname, port } = new URL(server.address)
      proxy = await TcpProxy.start({ target: { host: hostname, port: Number(port) } })
    })
    afterAll(() => proxy?.[Symbol.asyncDispose]())
    const throughProxy = () => `redis://127.0.0.1:${proxy.port}`

    it('replaces a connection that gets no answer, though nothing says that it is dead', async () => {
      const connection = connect(throughProxy(), 800)
      await runsAgain(connection)
      proxy.stall()
      const sinceMs = performance.now()
      await expect(run(connection)).rejects.toMatchObject({ code: 'unreachable', retryable: true })
      await runsAgain(connection)
      expect(performance.now() - sinceMs).toBeLessThan(800 + 1_000)
      expect(told).toEqual([expect.stringContaining(`127.0.0.1:${proxy.port}`), null])
    })

    it('finds an idle connection dead before a caller needs it', async () => {
      const connection = connect(throughProxy(), 800)
      await runsAgain(connection)
      proxy.stall()
      await expect.poll(() => connection.trouble, { timeout: 10_000 }).toMatchObject({ code: 'unreachable' })
      await expect.poll(() => connection.trouble, { timeout: 10_000 }).toBeNull()
      expect(await run(connection)).toEqual(expect.any(Number))
    })

    it('is closed in time on a connection that gets no answer', async () => {
      const connection = connect(throughProxy())
      await runsAgain(connection)
      proxy.stall()
      const sinceMs = performance.now()
      await connection[Symbol.asyncDispose]()
      expect(performance.now() - sinceMs).toBeLessThan(2_000)
    })
  })
})
