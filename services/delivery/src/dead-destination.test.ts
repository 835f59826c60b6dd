/** The breaker of a destination ends runs (PROTOCOL.md §9, §11). */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { bottleneckAdmission } from '@sluice/rate-limit/adapters/bottleneck'
import { createLocalRateLimit } from '@sluice/rate-limit/adapters/local'
import { createLeaseQueue } from '@sluice/rate-limit/lease-queue'
import { always, keysOf, OK, ScriptedDelivery, type Fate, type Script } from '../test/scripted-delivery.ts'

vi.setConfig({ testTimeout: 30_000 })

const PAUSE_MS = 40
const CONCURRENCY = 5
const FAILURES = 10

let lives: ScriptedDelivery
beforeEach(async () => {
  lives = await ScriptedDelivery.open()
})
afterEach(() => lives[Symbol.asyncDispose]())

const begin = (
  count: number,
  over: { errors?: object; breaker?: unknown; in?: ScriptedDelivery } = {},
): Promise<void> => {
  const { errors = { retry: 'next-run', backoff: undefined }, breaker } = over
  return (over.in ?? lives).begin(keysOf(count), {
    errors,
    destination: {
      limits: { rate: { requests: 100_000, per: 'second' }, concurrency: CONCURRENCY },
      breaker: breaker ?? { failures: FAILURES, pause: `${PAUSE_MS}ms` },
    },
  })
}
/** The cause, rather than the breaker. */
const WHY =
  /^`[a-z-]+` (does not answer in time|breaks |refuses connections|cannot be reached|answers HTTP 500)/
/** All attempts, in their order, have these fates. The last one holds for the rest. */
const inTurn = (...fates: readonly Fate[]): Script => {
  let tried = 0
  return () => fates[tried++] ?? fates.at(-1) ?? OK
}
const failing = (fate: Fate, count: number): readonly Fate[] => Array.from({ length: count }, () => fate)

describe('a destination that is dead', () => {
  it.each([['time-out'], ['broken'], ['refused'], [{ status: 500 }]] as const)(
    'by %j gets three probes more, a pause apart, and the rest of the run is unsent and says why',
    async fate => {
      await begin(300)
      lives.api.script = always(fate)
      await lives.finish()
      const { tries } = lives.api
      expect(tries.length).toBeGreaterThanOrEqual(FAILURES + 3)
      expect(tries.length).toBeLessThanOrEqual(FAILURES + CONCURRENCY + 3)
      const [before, ...probes] = tries.slice(-4).map(({ atMs }) => atMs)
      let lastMs = before ?? 0
      for (const atMs of probes) {
        expect(atMs - lastMs).toBeGreaterThanOrEqual(PAUSE_MS - 2)
        lastMs = atMs
      }
      const entries = await lives.entries()
      expect(entries).toHaveLength(300)
      const unsent = entries.filter(({ attempts }) => attempts === 0)
      expect(unsent).toHaveLength(300 - tries.length)
      for (const { outcome, error } of unsent) {
        expect(outcome).toBe('unsent')
        expect(error).toMatch(WHY)
        expect(error).toMatch(/[.] \d+ requests in a row failed, and Sluice stopped sending at .*Z$/)
      }
      const { delivered, rejected, unknown, unsent: never } = lives.counts
      expect(delivered + rejected + unknown + never).toBe(300)
    },
  )

  it('and comes back is found by the second probe, and everything else arrives', async () => {
    await begin(200)
    // The first probe fails, too.
    lives.api.script = inTurn(...failing({ status: 502 }, FAILURES + 1), OK)
    await lives.finish()
    const failed = FAILURES + 1
    expect(lives.counts).toMatchObject({ delivered: 200 - failed, unknown: failed, unsent: 0 })
  })

  it('is back when it refuses a probe, and stays so if it refuses everything', async () => {
    await begin(200)
    lives.api.script = inTurn(...failing({ status: 500 }, FAILURES), { status: 400 })
    await lives.finish()
    expect(lives.api.tries).toHaveLength(200)
    expect(lives.counts.unsent).toBe(0)
  })

  it('ends requests that wait for a retry, with the outcome of their last attempt', async () => {
    await begin(60, { errors: { attempts: 100, backoff: { first: '1ms', max: '2ms' } } })
    lives.api.script = always('time-out')
    await lives.finish()
    expect(lives.api.tries.length).toBeLessThanOrEqual(FAILURES + CONCURRENCY + 3)
    const { unknown, unsent } = lives.counts
    expect(unknown + unsent).toBe(60)
    expect(unknown).toBeGreaterThan(0)
    expect((await lives.entries()).filter(({ outcome }) => outcome === 'unknown')).toHaveLength(unknown)
  })

  it('found open by a later run, ends it after one probe of its own', async () => {
    await using limits = createLocalRateLimit()
    const leases = createLeaseQueue(limits, bottleneckAdmission)
    await begin(100)
    lives.api.script = always({ status: 500 })
    await lives.finish({ leases })
    await using later = await ScriptedDelivery.open()
    await begin(100, { in: later })
    later.api.script = always({ status: 500 })
    await later.finish({ leases })
    expect(later.api.tries).toHaveLength(1)
    expect(later.counts).toMatchObject({ unknown: 1, unsent: 99 })
    await using last = await ScriptedDelivery.open()
    await begin(100, { in: last })
    await last.finish({ leases })
    expect(last.counts).toMatchObject({ delivered: 100 })
  })
})

describe('a destination that is not dead', () => {
  it.each([[{ status: 400 }], [{ status: 404 }], ['impossible']] as const)(
    'since it answers %j, gets all requests',
    async fate => {
      await begin(100)
      lives.api.script = always(fate)
      await lives.finish()
      expect(lives.api.tries).toHaveLength(100)
    },
  )

  it('since it takes one request in five, gets all requests', async () => {
    await begin(100)
    lives.api.script = key => (Number(key.slice(1)) % 5 === 4 ? OK : { status: 500 })
    await lives.finish()
    expect(lives.api.tries).toHaveLength(100)
  })

  it('by its statuses, and takes what its answers name, gets all requests', async () => {
    const rowResults = [{ items: '$.done[*]', row: { index: '$' }, as: 'delivered' }]
    await begin(3 * FAILURES, { errors: { retry: 'next-run', backoff: undefined, rowResults } })
    lives.api.script = always({ status: 500, body: '{"done": [0]}' })
    await lives.finish()
    expect(lives.counts).toMatchObject({ delivered: 3 * FAILURES, unsent: 0 })
  })

  it('as far as its breaker goes, which is off, gets all requests', async () => {
    await begin(100, { breaker: false })
    lives.api.script = always({ status: 500 })
    await lives.finish()
    expect(lives.api.tries).toHaveLength(100)
  })
})
