/** The promises of every adapter of locks. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Locks } from '../src/port.ts'

export interface LocksHarness extends AsyncDisposable {
  /** Another process' view of the same locks. If there can be only one process, always the same object. */
  open(): Locks
}

export function locksContract(name: string, start: () => Promise<LocksHarness>): void {
  describe(`locks: ${name}`, () => {
    let harness: LocksHarness
    const { signal } = new AbortController()
    beforeEach(async () => {
      harness = await start()
    })
    afterEach(() => harness[Symbol.asyncDispose]())

    it('gives a free name at once, and different names at the same time', async () => {
      const locks = harness.open()
      await using one = await locks.acquire('changes/people/1/0', { signal })
      await using other = await locks.acquire('changes/people/1/1', { signal })
      expect([one.held, other.held]).toEqual([true, true])
    })

    it('lets a successor wait until its predecessor has released', async () => {
      const first = await harness.open().acquire('a', { signal })
      let released = false
      const second = harness.open().acquire('a', { signal })
      const seen = second.then(() => released)
      await harness.open().acquire('b', { signal })
      released = true
      await first[Symbol.asyncDispose]()
      expect(first.held).toBe(false)
      expect(await seen).toBe(true)
      expect((await second).held).toBe(true)
    })

    it('gives a name to one of many who wait for it, and then to the next', async () => {
      let owners = 0
      let most = 0
      const waiting = Array.from({ length: 8 }, async () => {
        await using _lock = await harness.open().acquire('a', { signal })
        owners += 1
        most = Math.max(most, owners)
        await new Promise(resolve => setImmediate(resolve))
        owners -= 1
      })
      await Promise.all(waiting)
      expect(most).toBe(1)
    })

    it('ends a wait when it is aborted, and leaves nothing behind', async () => {
      const first = await harness.open().acquire('a', { signal })
      const leaving = new AbortController()
      const second = harness.open().acquire('a', { signal: leaving.signal })
      leaving.abort(new Error('no longer wanted'))
      await expect(second).rejects.toThrow('no longer wanted')
      const third = harness.open().acquire('a', { signal })
      await first[Symbol.asyncDispose]()
      expect((await third).held).toBe(true)
      const aborted = harness.open().acquire('b', { signal: leaving.signal })
      await expect(aborted).rejects.toThrow('no longer wanted')
    })

    it('may be released twice, and does not take the successor’s lock away with it', async () => {
      const first = await harness.open().acquire('a', { signal })
      await first[Symbol.asyncDispose]()
      const second = await harness.open().acquire('a', { signal })
      await first[Symbol.asyncDispose]()
      expect(second.held).toBe(true)
      const leaving = new AbortController()
      const third = harness.open().acquire('a', { signal: leaving.signal })
      await harness.open().acquire('b', { signal })
      leaving.abort(new Error('still held'))
      await expect(third).rejects.toThrow('still held')
    })
  })
}
