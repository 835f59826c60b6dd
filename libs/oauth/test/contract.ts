/** What every store of tokens promises. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sleep } from '@sluice/flow/sleep'
import type { Leave, TokenStore } from '../src/port.ts'

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

    const leave = async (store: TokenStore, name: string, lifeMs = 60_000): Promise<Leave> => {
      const begun = await store.begin(name, lifeMs)
      if (begun.kind !== 'leave') throw new Error('there is no leave')
      return begun.leave
    }

    it('keeps a token for all, by name, and says how long', async () => {
      expect(await one.read('a')).toBeNull()
      expect(await one.keep(await leave(one, 'a'), 'sealed', 60_000)).toBe(true)
      const kept = await two.read('a')
      expect(kept?.sealed).toBe('sealed')
      expect(kept?.leftMs).toBeGreaterThan(50_000)
      expect(kept?.leftMs).toBeLessThanOrEqual(60_000)
      expect(await two.read('b')).toBeNull()
    })

    it('forgets a token when its time is over', async () => {
      await one.keep(await leave(one, 'a'), 'sealed', 30)
      await sleep(60, { signal })
      expect(await two.read('a')).toBeNull()
    })

    it('gives leave to one at a time, and to the next once it is ended or kept', async () => {
      const first = await leave(one, 'a')
      expect(await two.begin('a', 60_000)).toMatchObject({ kind: 'taken', why: null })
      expect((await two.begin('b', 60_000)).kind).toBe('leave')
      await one.end(first, { pauseMs: 0, why: '' })
      await two.keep(await leave(two, 'a'), 'sealed', 60_000)
      expect((await one.begin('a', 60_000)).kind).toBe('leave')
    })

    it('gives leave to one of many that ask at once', async () => {
      const begun = await Promise.all(
        Array.from({ length: 20 }, (_, n) => (n % 2 ? one : two).begin('a', 60_000)),
      )
      expect(begun.filter(({ kind }) => kind === 'leave')).toHaveLength(1)
    })

    it('lets nobody ask after a failure for a while, and says why', async () => {
      await one.end(await leave(one, 'a'), { pauseMs: 60_000, why: 'HTTP 500: out of order' })
      for (const store of [one, two]) {
        const begun = await store.begin('a', 60_000)
        expect(begun).toMatchObject({ kind: 'taken', why: 'HTTP 500: out of order' })
      }
      await one.end(await leave(one, 'b'), { pauseMs: 30, why: 'short' })
      await sleep(60, { signal })
      expect((await two.begin('b', 60_000)).kind).toBe('leave')
    })

    it('keeps nothing of a process whose leave is over, and its end is not the end of another leave', async () => {
      const stale = await leave(one, 'a', 30)
      await sleep(60, { signal })
      const next = await leave(two, 'a')
      expect(await one.keep(stale, 'of the one that stood still', 60_000)).toBe(false)
      await one.end(stale, { pauseMs: 60_000, why: 'too late' })
      expect(await one.begin('a', 60_000)).toMatchObject({ kind: 'taken', why: null })
      expect(await two.keep(next, 'newer', 60_000)).toBe(true)
      expect((await one.read('a'))?.sealed).toBe('newer')
    })
  })
}
