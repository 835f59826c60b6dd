import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { describe, expect, inject, it } from 'vitest'
import { listedRedisRights } from '@sluice/testkit/listed-rights'
import { tokenStoreContract } from '../../test/contract.ts'
import type { TokenStore } from '../port.ts'
import { createRedisTokenStore } from './redis.ts'

const url = inject('redisUrl')

describe.skipIf(url === null)('with Redis', () => {
  tokenStoreContract('redis', () => {
    const prefix = `test-${randomUUID()}`
    const opened: TokenStore[] = []
    return Promise.resolve({
      open() {
        const store = createRedisTokenStore({ url: url ?? '', prefix })
        opened.push(store)
        return store
      },
      async [Symbol.asyncDispose]() {
        for (const store of opened) await store[Symbol.asyncDispose]()
      },
    })
  })

  it('waits for no lease without an end, and takes no long text, that a stranger wrote', async () => {
    const prefix = `test-${randomUUID()}`
    const admin = new Redis(url ?? '')
    await using store = createRedisTokenStore({ url: url ?? '', prefix })
    const key = `${prefix}:tokens:{a}`
    try {
      await admin.set(`${key}:leave`, 'by a stranger')
      await admin.set(`${key}:token`, 'x'.repeat(2_000_000), 'PX', 60_000)
      expect(await store.read('a')).toBeNull()
      expect((await store.lease('a', 60_000)).kind).toBe('leased')
      await admin.set(`${key}:leave`, `no ${'x'.repeat(2_000_000)}`, 'PX', 60_000)
      expect(await store.lease('a', 60_000)).toMatchObject({ why: 'x'.repeat(1_997) })
    } finally {
      await admin.del(`${key}:leave`, `${key}:token`)
      await admin.quit()
    }
  })

  it('needs no more rights than docs/OPERATIONS.md lists', async () => {
    const rights = await listedRedisRights()
    const user = `test-${randomUUID()}`
    const admin = new Redis(url ?? '')
    try {
      await admin.call('ACL', 'SETUSER', user, 'on', '>secret', `~${user}:*`, ...rights)
      const limited = new URL(url ?? '')
      limited.username = user
      limited.password = 'secret'
      await using store = createRedisTokenStore({ url: limited.href, prefix: user })
      for (const name of ['a', 'b']) {
        const begun = await store.lease(name, 60_000)
        if (begun.kind !== 'leased') throw new Error('nobody else asks for a token')
        if (name === 'a') expect(await store.store(begun.lease, 'sealed', 60_000)).toBe(true)
        else await store.end(begun.lease, { pauseMs: 60_000, why: 'refused' })
      }
      expect(await store.read('a')).toMatchObject({ sealed: 'sealed' })
      expect(await store.lease('b', 60_000)).toMatchObject({ kind: 'taken', why: 'refused' })
    } finally {
      await admin.call('ACL', 'DELUSER', user)
      await admin.quit()
    }
  })
})
