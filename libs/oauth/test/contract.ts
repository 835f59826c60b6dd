/** The promises of every store of tokens. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sleep } from '@sluice/flow/sleep'
import type { TokenLease, TokenStore } from '../src/port.ts'

const { signal } = new AbortController()

export interface TokenStoreHarness extends AsyncDisposable {
  /** Another process with the same tokens. */
  open(): TokenStore
}

export function tokenStoreContract(vendor: string, start: () => Promise<TokenStoreHarness>): void {
  describe(`a store of tokens: ${vendor}`, () => {
    let harness: TokenStoreHarness
    let one: TokenStore
    let two: TokenStore

    beforeEach(async () => {
      harness = await start()
      one = harness.open()
      two = harness.open()
    })
    afterEach(async () => {
      await harness[Symbol.asyncDispose]()
    })

    const lease = async (store: TokenStore, name: string, lifeMs = 60_000): Promise<TokenLease> => {
      const begun = await store.lease(name, lifeMs)
      if (begun.kind !== 'leased') throw new Error('another process has the lease')
      return begun.lease
    }

    it('keeps a token for all, by name, and says how long', async () => {
      expect(await one.read('a')).toBeNull()
      expect(await one.store(await lease(one, 'a'), 'sealed', 60_000)).toBe(true)
      const kept = await two.read('a')
      expect(kept?.sealed).toBe('sealed')
      expect(kept?.leftMs).toBeGreaterThan(50_000)
      expect(kept?.leftMs).toBeLessThanOrEqual(60_000)
      expect(await two.read('b')).toBeNull()
    })

    it('forgets a token when its time is over', async () => {
      await one.store(await lease(one, 'a'), 'sealed', 30)
      await sleep(60, { signal })
      expect(await two.read('a')).toBeNull()
    })

    it('gives the lease to one at a time, and to the next once it is ended or used', async () => {
      const first = await lease(one, 'a')
      expect(await two.lease('a', 60_000)).toMatchObject({ kind: 'taken', why: null })
      expect((await two.lease('b', 60_000)).kind).toBe('leased')
      await one.end(first, { pauseMs: 0, why: '' })
      await two.store(await lease(two, 'a'), 'sealed', 60_000)
      expect((await one.lease('a', 60_000)).kind).toBe('leased')
    })

    it('gives the lease to one of many that ask at once', async () => {
      const begun = await Promise.all(
        Array.from({ length: 20 }, (_, n) => (n % 2 ? one : two).lease('a', 60_000)),
      )
      expect(begun.filter(({ kind }) => kind === 'leased')).toHaveLength(1)
    })

    it('lets nobody ask after a failure for a while, and says why', async () => {
      await one.end(await lease(one, 'a'), { pauseMs: 60_000, why: 'HTTP 500: out of order' })
      for (const store of [one, two]) {
        const begun = await store.lease('a', 60_000)
        expect(begun).toMatchObject({ kind: 'taken', why: 'HTTP 500: out of order' })
      }
      await one.end(await lease(one, 'b'), { pauseMs: 30, why: 'short' })
      await sleep(60, { signal })
      expect((await two.lease('b', 60_000)).kind).toBe('leased')
    })

    it('stores nothing of a process whose lease is over, which cannot end another lease either', async () => {
      const stale = await lease(one, 'a', 30)
      await sleep(60, { signal })
      const next = await lease(two, 'a')
      expect(await one.store(stale, 'of the one that stood still', 60_000)).toBe(false)
      await one.end(stale, { pauseMs: 60_000, why: 'too late' })
      expect(await one.lease('a', 60_000)).toMatchObject({ kind: 'taken', why: null })
      expect(await two.store(next, 'newer', 60_000)).toBe(true)
      expect((await one.read('a'))?.sealed).toBe('newer')
    })
  })
}
