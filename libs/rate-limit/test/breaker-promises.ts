/** The promises of every rate limit about destinations that fail, whatever keeps it. */
import { describe, expect, it } from 'vitest'
import type { Granted, RateLimitHarness } from './harness.ts'
import type { Evidence, Grant, RateLimit, TakeRequest } from '../src/port.ts'

const RULE = { failures: 5, pauseMs: 30_000 }
const SLOT_LIFE_MS = 5_000
const DESTINATION = 'destination/api'

/** `shared`: several instances may be open at once. To be called within the suite of the rate limit. */
export function breakerPromises(of: {
  readonly shared: boolean
  readonly harness: () => RateLimitHarness
  /** The instance that is open. */
  readonly limit: () => RateLimit
}): void {
  const { shared, harness } = of
  const take = (limit: RateLimit, over: Partial<TakeRequest> = {}): Promise<Grant> =>
    limit.take({
      scopes: [{ name: DESTINATION, rates: [{ requests: 1000, windowMs: 1000 }], concurrency: 1000 }],
      owner: { partition: 'sync/0', marker: 1 },
      want: 3,
      slotLifeMs: SLOT_LIFE_MS,
      breaker: RULE,
      signal: new AbortController().signal,
      ...over,
    })
  const tell = (limit: RateLimit, evidence: Partial<Evidence>): Promise<void> =>
    limit.report(DESTINATION, { rule: RULE, served: false, failures: 0, probe: null, ...evidence })
  const probe = async (limit: RateLimit): Promise<Granted> => {
    const grant = await take(limit)
    expect(grant).toMatchObject({ kind: 'granted', permits: 1, isProbe: true })
    if (grant.kind !== 'granted') throw new Error('not granted')
    return grant
  }
  const fails = (limit: RateLimit, { lease }: Granted): Promise<void> =>
    tell(limit, { failures: 1, probe: { lease, ended: 'failed' } })
  const serves = (limit: RateLimit, { lease }: Granted): Promise<void> =>
    tell(limit, { served: true, probe: { lease, ended: 'released' } })
  const isClosed = async (limit: RateLimit): Promise<void> => {
    expect(await take(limit)).toMatchObject({ kind: 'granted', permits: 3, isProbe: false })
  }
  const isOpen = async (limit: RateLimit, failedProbes = 0): Promise<void> => {
    expect(await take(limit)).toMatchObject({ kind: 'wait', reason: 'broken', broken: { failedProbes } })
  }

  describe('the breaker', () => {
    it('opens after so many failures in a row, however they come, and says since when', async () => {
      const limit = of.limit()
      await tell(limit, { failures: 2 })
      await tell(limit, { failures: 2 })
      await isClosed(limit)
      const fromMs = harness().now()
      await tell(limit, { failures: 3 })
      const wait = await take(limit)
      expect(wait).toMatchObject({ kind: 'wait', reason: 'broken' })
      if (wait.kind !== 'wait' || wait.broken === null) throw new Error('not broken')
      expect(wait.broken).toMatchObject({ failures: 7, failedProbes: 0, lastProbeMsAgo: null })
      expect(wait.broken.openedAt).toBeGreaterThan(fromMs - 5_000)
      expect(wait.broken.openedAt).toBeLessThan(fromMs + 5_000)
      expect(wait.leftMs).toBeGreaterThan(20_000)
      expect(wait.leftMs).toBeLessThanOrEqual(30_000)
      expect(wait.waitMs).toBeLessThanOrEqual(1_000)
    })

    it('stays closed where a request is served in between', async () => {
      const limit = of.limit()
      await tell(limit, { failures: 4 })
      await tell(limit, { served: true, failures: 4 })
      await isClosed(limit)
      await tell(limit, { failures: 1 })
      await isOpen(limit)
    })

    it('concerns one destination, and nobody who has no breaker', async () => {
      const limit = of.limit()
      await tell(limit, { failures: 9 })
      const scopes = [{ name: 'destination/other', rates: [], concurrency: 10 }]
      expect(await take(limit, { scopes })).toMatchObject({ permits: 3, isProbe: false })
      expect(await take(limit, { breaker: undefined })).toMatchObject({ permits: 3, isProbe: false })
    })

    it('lets one probe through after each pause, and counts those that fail', async () => {
      const limit = of.limit()
      await tell(limit, { failures: 5 })
      for (const failed of [0, 1, 2, 3]) {
        await isOpen(limit, failed)
        await harness().pass(RULE.pauseMs - 2_000)
        await isOpen(limit, failed)
        await harness().pass(2_000)
        const grant = await probe(limit)
        await isOpen(limit, failed)
        await fails(limit, grant)
        const wait = await take(limit)
        if (wait.kind !== 'wait') throw new Error('granted while it is open')
        expect(wait.broken?.lastProbeMsAgo).toBeLessThan(2_000)
      }
    })

    it('closes for all once a probe is served, and counts from zero again', async () => {
      const limit = of.limit()
      await tell(limit, { failures: 5 })
      await harness().pass(RULE.pauseMs)
      await serves(limit, await probe(limit))
      await isClosed(limit)
      await tell(limit, { failures: 4 })
      await isClosed(limit)
    })

    it('closes if a request that was under way when it opened is served after all', async () => {
      const limit = of.limit()
      await tell(limit, { failures: 6 })
      await isOpen(limit)
      await tell(limit, { served: true })
      await isClosed(limit)
    })

    it('lets another probe through at once after one that was not sent', async () => {
      const limit = of.limit()
      await tell(limit, { failures: 5 })
      await harness().pass(RULE.pauseMs)
      const { lease } = await probe(limit)
      await limit.giveBack(lease, { unused: 1, finished: 0 })
      await tell(limit, { probe: { lease, ended: 'released' } })
      await probe(limit)
      await isOpen(limit)
    })

    it('lets another probe through if the holder of one has died', async () => {
      const limit = of.limit()
      await tell(limit, { failures: 5 })
      await harness().pass(RULE.pauseMs)
      const dead = await probe(limit)
      await harness().pass(SLOT_LIFE_MS - 1_000)
      await isOpen(limit)
      await harness().pass(1_200)
      await probe(limit)
      // What the dead one says late is a failure, and not of this probe.
      await fails(limit, dead)
      await isOpen(limit, 0)
    })

    it('outlives a process; the next one may try a request of its own first', async () => {
      const limit = of.limit()
      await tell(limit, { failures: 5 })
      await harness().pass(RULE.pauseMs)
      await fails(limit, await probe(limit))
      await limit[Symbol.asyncDispose]()
      const next = await harness().open()
      const own = await probe(next)
      await isOpen(next, 1)
      await fails(next, own)
      await isOpen(next, 1)
      await harness().pass(RULE.pauseMs)
      await serves(next, await probe(next))
      await isClosed(next)
    })

    it('forgets failures that nobody has added to for an hour', async () => {
      const limit = of.limit()
      await tell(limit, { failures: 4 })
      if (shared) return // Keys expire by the clock of the server.
      await harness().pass(3_600_000)
      await tell(limit, { failures: 4 })
      await isClosed(limit)
    })

    if (shared)
      sharedPromises({ harness, limit: of.limit, take, tell, probe, fails, serves, isClosed, isOpen })
  })
}

interface Steps {
  readonly harness: () => RateLimitHarness
  readonly limit: () => RateLimit
  readonly take: (limit: RateLimit) => Promise<Grant>
  readonly tell: (limit: RateLimit, evidence: Partial<Evidence>) => Promise<void>
  readonly probe: (limit: RateLimit) => Promise<Granted>
  readonly fails: (limit: RateLimit, probe: Granted) => Promise<void>
  readonly serves: (limit: RateLimit, probe: Granted) => Promise<void>
  readonly isClosed: (limit: RateLimit) => Promise<void>
  readonly isOpen: (limit: RateLimit, failedProbes?: number) => Promise<void>
}

function sharedPromises(steps: Steps): void {
  const { harness, limit, take, tell, probe, fails, serves, isClosed, isOpen } = steps

  it('sums the failures of all processes', async () => {
    const [one, other] = [limit(), await harness().open()]
    await tell(one, { failures: 3 })
    await tell(other, { failures: 2 })
    await isOpen(one)
    await isOpen(other)
  })

  it('lets only one process probe', async () => {
    const [one, other] = [limit(), await harness().open()]
    await tell(one, { failures: 3 })
    await tell(other, { failures: 3 })
    await harness().pass(RULE.pauseMs)
    const grant = await probe(one)
    await isOpen(other)
    await fails(one, grant)
    await isOpen(other, 1)
  })

  it('a process that is served closes it for all, and takes nothing away before it has looked', async () => {
    const [one, other] = [limit(), await harness().open()]
    await tell(one, { failures: 9 })
    await isOpen(one)
    await serves(other, await probe(other))
    await isClosed(other)
  })

  it('a process that has looked for itself, and failed too, waits with the others', async () => {
    const [one, other] = [limit(), await harness().open()]
    await tell(one, { failures: 5 })
    const own = await probe(other)
    await isOpen(other)
    await fails(other, own)
    await isOpen(other)
    await isOpen(one)
  })

  it('a process whose requests fail while those of others are served stands still alone', async () => {
    const [cutOff, healthy] = [limit(), await harness().open()]
    for (let n = 0; n < 4; n += 1) {
      await tell(cutOff, { failures: 1 })
      await take(healthy)
      await tell(healthy, { served: true })
    }
    await isClosed(cutOff)
    await isClosed(healthy)
    await tell(cutOff, { failures: 1 })
    await take(healthy)
    await tell(healthy, { served: true })
    await isOpen(cutOff)
    await isClosed(healthy)
    await harness().pass(RULE.pauseMs)
    await isClosed(healthy)
    await serves(cutOff, await probe(cutOff))
    await isClosed(cutOff)
  })
}
