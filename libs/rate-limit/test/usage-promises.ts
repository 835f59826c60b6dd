/** The promises of whatever tells how much of the limits is in use. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LimitScope, LimitUsage, RateLimit, TakeRequest } from '../src/port.ts'

const DESTINATION = 'destination/api'
const SLOT_LIFE_MS = 5_000

export interface UsageHarness {
  readonly limit: RateLimit
  readonly usage: LimitUsage
  /** Lets at least this much time pass on the clock of both. */
  pass(ms: number): Promise<void>
  /** Closes both and removes the storage. */
  close(): Promise<void>
}

export function usagePromises(name: string, open: () => Promise<UsageHarness>): void {
  describe(`how much of the limits is in use, ${name}`, () => {
    let harness: UsageHarness
    beforeEach(async () => {
      harness = await open()
    })
    afterEach(() => harness.close())

    const scope = (of: string, concurrency: number): LimitScope => ({ name: of, rates: [], concurrency })
    const take = async (want: number, over: Partial<TakeRequest> = {}): Promise<string> => {
      const grant = await harness.limit.take({
        scopes: [scope(DESTINATION, 100)],
        owner: { partition: 'sync/0', marker: 1 },
        ...{ want, slotLifeMs: SLOT_LIFE_MS, signal: new AbortController().signal, ...over },
      })
      if (grant.kind !== 'granted') throw new Error(`expected a grant, got ${JSON.stringify(grant)}`)
      expect(grant.permits).toBe(want)
      return grant.lease
    }
    const taken = (destination = DESTINATION) => harness.usage.slotsTaken(destination)
    /** What came back may reach the limit a little later. */
    const isTaken = (slots: number) => expect.poll(() => taken(), { timeout: 5_000 }).toBe(slots)

    it('is nothing of a destination that nobody has asked for', async () => {
      expect(await taken('destination/other')).toBe(0)
    })

    it('is what was granted and has not come back, used or not', async () => {
      const first = await take(30)
      await take(7)
      expect(await taken()).toBe(37)
      expect(await taken('destination/other')).toBe(0)
      await harness.limit.giveBack(first, { unused: 0, finished: 10 })
      await isTaken(27)
      await harness.limit.giveBack(first, { unused: 20, finished: 0 })
      await isTaken(7)
    })

    it('is of the destination alone, whatever limits of syncs the same requests count in', async () => {
      const both = [scope(DESTINATION, 100), scope('sync/people', 50)]
      const lease = await take(20, { scopes: both })
      await take(5, { owner: { partition: 'other/0', marker: 1 } })
      expect(await taken()).toBe(25)
      await harness.limit.giveBack(lease, { unused: 0, finished: 20 })
      await isTaken(5)
    })

    it('is free again once it has expired, though nobody takes anything more', async () => {
      const both = [scope(DESTINATION, 100), scope('sync/people', 50)]
      await take(20, { scopes: both })
      await harness.pass(SLOT_LIFE_MS - 1_000)
      await take(3)
      expect(await taken()).toBe(23)
      await harness.pass(2_000)
      expect(await taken()).toBe(3)
      expect(await taken(), 'looking changes nothing').toBe(3)
      await harness.pass(SLOT_LIFE_MS)
      expect(await taken()).toBe(0)
      await take(100)
      expect(await taken()).toBe(100)
    })
  })
}
