import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { sleep } from '@sluice/flow/sleep'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import { locksContract } from '../../test/contract.ts'
import type { Locks } from '../port.ts'
import { createRedisLocks } from './redis.ts'

const url = inject('redisUrl')
const { signal } = new AbortController()

describe.skipIf(url === null)('with Redis', () => {
  const address = url ?? ''

  locksContract('redis', async () => {
    const prefix = `test-${randomUUID()}`
    const opened: Locks[] = []
    return Promise.resolve({
      open() {
        const locks = createRedisLocks({ url: address, prefix, lifeMs: 2_000 })
        opened.push(locks)
        return locks
      },
      async [Symbol.asyncDispose]() {
        for (const locks of opened) await locks[Symbol.asyncDispose]()
      },
    })
  })

  describe('behind a network that fails', () => {
    const LIFE_MS = 500
    let proxy: TcpProxy
    let prefix: string
    let cutOff: Locks
    let healthy: Locks
    beforeEach(async () => {
      const { hostname, port } = new URL(address)
      proxy = await TcpProxy.start({ target: { host: hostname, port: Number(port) } })
      prefix = `test-${randomUUID()}`
      const common = { prefix, lifeMs: LIFE_MS, commandTimeoutMs: 1_500 }
      cutOff = createRedisLocks({ ...common, url: `redis://127.0.0.1:${proxy.port}` })
      healthy = createRedisLocks({ ...common, url: address })
    })
    afterEach(async () => {
      await proxy.set({ kind: 'pass' })
      await cutOff[Symbol.asyncDispose]()
      await healthy[Symbol.asyncDispose]()
      await proxy[Symbol.asyncDispose]()
    })

    it('frees the name of an owner that cannot renew it, and tells that owner so', async () => {
      const first = await cutOff.acquire('a', { signal })
      await sleep(2 * LIFE_MS, { signal })
      expect(first.held, 'renewed beyond its life').toBe(true)
      await proxy.set({ kind: 'refuse' })
      const cutMs = performance.now()
      const second = await healthy.acquire('a', { signal })
      expect(performance.now() - cutMs).toBeLessThan(LIFE_MS + 500)
      expect([first.held, second.held]).toEqual([false, true])
      await proxy.set({ kind: 'pass' })
      const third = await cutOff.acquire('b', { signal })
      await sleep(LIFE_MS, { signal })
      expect([first.held, second.held, third.held]).toEqual([false, true, true])
      await first[Symbol.asyncDispose]()
      await sleep(LIFE_MS, { signal })
      expect(second.held).toBe(true)
    })

    it('keeps a lock that nobody took while Redis was away', async () => {
      const first = await cutOff.acquire('a', { signal })
      await proxy.set({ kind: 'refuse' })
      await sleep(2 * LIFE_MS, { signal })
      expect(first.held).toBe(false)
      await proxy.set({ kind: 'pass' })
      await using _answers = await cutOff.acquire('b', { signal })
      await sleep(LIFE_MS, { signal })
      expect(first.held).toBe(true)
      const leaving = new AbortController()
      const second = healthy.acquire('a', { signal: leaving.signal })
      await healthy.acquire('c', { signal })
      leaving.abort(new Error('held'))
      await expect(second).rejects.toThrow('held')
    })

    it('says where Redis does not answer', async () => {
      await proxy.set({ kind: 'refuse' })
      await expect(cutOff.acquire('a', { signal })).rejects.toMatchObject({
        code: 'unreachable',
        retryable: true,
        message: expect.stringContaining(`127.0.0.1:${proxy.port}`),
      })
    })
  })
})
