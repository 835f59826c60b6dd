import { randomUUID } from 'node:crypto'
import { describe, inject } from 'vitest'
import { tokenStoreContract } from '../contract.ts'
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
})
