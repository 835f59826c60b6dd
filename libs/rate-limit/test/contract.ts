/** The promises of every rate limit, whatever keeps it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { randomFrom } from '@sluice/testkit/random'
import { mostInAnyWindow } from '@sluice/testkit/scripted-api'
import { breakerPromises } from './breaker-promises.ts'
import type { Granted, RateLimitHarness } from './harness.ts'
import type { Grant, LimitScope, RateLimit, TakeRequest } from '../src/port.ts'

const never = new AbortController().signal

/** `shared`: several instances may be open at once. */
export function rateLimitContract(
  name: string,
  { shared }: { readonly shared: boolean },
  start: () => Promise<RateLimitHarness>,
): void {
  describe(`the rate limit ${name}`, () => {
    let harness: RateLimitHarness
    let limit: RateLimit
    beforeEach(async () => {
      harness = await start()
      limit = await harness.open()
    })
    afterEach(() => harness.close())

    const scope = (over: Partial<LimitScope> = {}): LimitScope => ({
      name: 'destination/api',
      rates: [{ requests: 10, windowMs: 1000 }],
      concurrency: 5000,
      ...over,
    })
    const request = (over: Partial<TakeRequest> = {}): TakeRequest => ({
      scopes: [scope()],
      owner: { partition: 'sync/0', marker: 1 },
      want: 1,
      slotLifeMs: 5000,
      signal: never,
      ...over,
    })
    const take = (over: Partial<TakeRequest> = {}) => limit.take(request(over))
    const granted = async (over: Partial<TakeRequest> = {}): Promise<Granted> => {
      const grant = await take(over)
      if (grant.kind !== 'granted') throw new Error(`expected a grant, got ${JSON.stringify(grant)}`)
      return grant
    }

    describe('rates', () => {
      it('grants as many permits as are wanted and there is room for, and then says how long to wait', async () => {
        expect(await granted({ want: 7 })).toMatchObject({ permits: 7 })
        expect(await granted({ want: 7 })).toMatchObject({ permits: 3 })
        const wait = await take({ want: 7 })
        expect(wait).toMatchObject({ kind: 'wait', reason: 'rate' })
        if (wait.kind !== 'wait') return
        expect(wait.waitMs).toBeGreaterThan(900)
        expect(wait.waitMs).toBeLessThan(1200)
        await harness.pass(wait.waitMs)
        expect(await granted({ want: 7 })).toMatchObject({ permits: 7 })
      })

      it('an hour limit allows its whole burst at any moment of the hour', async () => {
        const scopes = [scope({ rates: [{ requests: 1000, windowMs: 3_600_000 }] })]
        expect(await granted({ scopes, want: 400 })).toMatchObject({ permits: 400 })
        await harness.pass(50)
        expect(await granted({ scopes, want: 1000 })).toMatchObject({ permits: 600 })
        expect(await take({ scopes })).toMatchObject({ kind: 'wait', reason: 'rate' })
      })

      it('a lease is to be used within milliseconds', async () => {
        const before = harness.now()
        const life = harness.deadline(await granted()) - before
        expect(life).toBeGreaterThan(0)
        expect(life).toBeLessThanOrEqual(100)
      })

      it('unused permits come back, used ones do not', async () => {
        const lease = await granted({ want: 10 })
        await limit.giveBack(lease.lease, { unused: 4, finished: 6 })
        expect(await granted({ want: 10 })).toMatchObject({ permits: 4 })
      })

      it('a scope that has no room costs the other scopes nothing', async () => {
        const full = scope({ name: 'sync/full', rates: [{ requests: 1, windowMs: 60_000 }] })
        await granted({ scopes: [scope(), full] })
        for (let n = 0; n < 20; n += 1) {
          expect(await take({ scopes: [scope(), full], want: 5 })).toMatchObject({ kind: 'wait' })
        }
        expect(await granted({ want: 20 })).toMatchObject({ permits: 9 })
      })

      it('all scopes have to have room, and each counts', async () => {
        const sync = scope({ name: 'sync/one', rates: [{ requests: 4, windowMs: 1000 }] })
        const other = scope({ name: 'sync/other', rates: [{ requests: 100, windowMs: 1000 }] })
        expect(await granted({ scopes: [scope(), sync], want: 9 })).toMatchObject({ permits: 4 })
        expect(await granted({ scopes: [scope(), other], want: 9 })).toMatchObject({ permits: 6 })
      })

      it('runs with different limits on one budget see what the others used', async () => {
        await granted({ want: 10 })
        const strict = scope({ rates: [{ requests: 5, windowMs: 1000 }] })
        const lax = scope({ rates: [{ requests: 25, windowMs: 1000 }] })
        const minute = scope({ rates: [{ requests: 12, windowMs: 60_000 }] })
        expect(await take({ scopes: [strict] })).toMatchObject({ kind: 'wait', reason: 'rate' })
        expect(await granted({ scopes: [minute], want: 50 })).toMatchObject({ permits: 2 })
        expect(await granted({ scopes: [lax], want: 50 })).toMatchObject({ permits: 13 })
        await harness.pass(2000)
        expect(await take({ scopes: [minute] })).toMatchObject({ kind: 'wait', reason: 'rate' })
      })

      it('outlive a restart', async () => {
        await granted({ want: 8 })
        await limit[Symbol.asyncDispose]()
        limit = await harness.open()
        expect(await granted({ want: 8 })).toMatchObject({ permits: 2 })
        expect(await take()).toMatchObject({ kind: 'wait', reason: 'rate' })
        await harness.pass(1200)
        expect(await granted({ want: 20 })).toMatchObject({ permits: 10 })
      })
    })

    describe('concurrency', () => {
      const narrow = [scope({ rates: [{ requests: 1_000_000, windowMs: 1000 }], concurrency: 5 })]

      it('is never exceeded, and a slot is free as soon as its request is finished', async () => {
        const lease = await granted({ scopes: narrow, want: 9 })
        expect(lease).toMatchObject({ permits: 5 })
        expect(await take({ scopes: narrow })).toMatchObject({ kind: 'wait', reason: 'concurrency' })
        await limit.giveBack(lease.lease, { unused: 0, finished: 2 })
        expect(await granted({ scopes: narrow, want: 9 })).toMatchObject({ permits: 2 })
      })

      it('slots of a holder that died come back after their life, and not before', async () => {
        await granted({ scopes: narrow, want: 5, slotLifeMs: 2000 })
        const startMs = harness.now()
        await harness.pass(1900)
        for (;;) {
          const grant = await take({ scopes: narrow, want: 5 })
          if (grant.kind === 'granted') break
          expect(grant.reason).toBe('concurrency')
          await harness.pass(grant.waitMs)
        }
        expect(harness.now() - startMs).toBeGreaterThanOrEqual(2000)
        expect(harness.now() - startMs).toBeLessThan(2250)
      })

      it('giving back an expired lease, a lease twice, or an unknown one changes nothing', async () => {
        const lease = await granted({ scopes: narrow, want: 5, slotLifeMs: 100 })
        await harness.pass(300)
        expect(await granted({ scopes: narrow, want: 5 })).toMatchObject({ permits: 5 })
        await limit.giveBack(lease.lease, { unused: 0, finished: 5 })
        await limit.giveBack('no such lease', { unused: 1, finished: 1 })
        expect(await take({ scopes: narrow })).toMatchObject({ kind: 'wait', reason: 'concurrency' })
      })
    })

    describe('slots that lines share', () => {
      const scopes = [scope({ rates: [{ requests: 1_000_000, windowMs: 1000 }], concurrency: 20 })]
      const of = (line: string, want: number) => ({ scopes, line, want, slotLifeMs: 60_000, shared: true })
      const refused = { kind: 'wait', reason: 'concurrency' }

      it('are never all held by one, so that another gets some at once', async () => {
        expect(await granted(of('slow', 50))).toMatchObject({ permits: 18 })
        expect(await take(of('slow', 50))).toMatchObject(refused)
        for (const line of ['a', 'b']) expect(await granted(of(line, 1))).toMatchObject({ permits: 1 })
      })

      it('are all given to one that is alone', async () => {
        expect(await granted({ ...of('slow', 50), shared: false })).toMatchObject({ permits: 20 })
        const narrow = [scope({ rates: [], concurrency: 1, name: 'destination/narrow' })]
        expect(await granted({ ...of('slow', 50), scopes: narrow })).toMatchObject({ permits: 1 })
      })

      it('go over to the others as they come back, until each holds as many', async () => {
        const slow = await granted({ ...of('slow', 20), shared: false })
        const held = new Map<string, number>()
        for (let back = 0; back < 20; back += 1) {
          await limit.giveBack(slow.lease, { unused: 0, finished: 1 })
          // The others take turns. The slow one asks before and after all of them, each time.
          const others = ['a', 'b', 'c', 'a', 'b'].slice(back % 3, (back % 3) + 3)
          for (const line of ['slow', ...others, 'slow']) {
            const grant = await take(of(line, 20))
            if (grant.kind === 'granted') held.set(line, (held.get(line) ?? 0) + grant.permits)
          }
          await harness.pass(300)
        }
        expect(Math.max(...held.values()) - Math.min(...held.values())).toBeLessThanOrEqual(1)
        expect(
          [...held.values()].reduce((sum, each) => sum + each, 0),
          'all are in use',
        ).toBe(20)
        expect(held.size).toBe(4)
      })
    })

    describe('owners', () => {
      it('an older marker gets nothing, a newer one takes its place', async () => {
        const owner = (marker: number) => ({ owner: { partition: 'sync/0', marker } })
        await granted(owner(5))
        expect(await take(owner(4))).toMatchObject({ kind: 'wait', reason: 'superseded' })
        await granted(owner(5))
        await granted(owner(9))
        expect(await take(owner(5))).toMatchObject({ kind: 'wait', reason: 'superseded' })
        await granted({ owner: { partition: 'sync/1', marker: 0 } })
      })

      it('an older marker gets nothing after a restart either', async () => {
        await granted({ owner: { partition: 'sync/0', marker: 5 } })
        await limit[Symbol.asyncDispose]()
        limit = await harness.open()
        const older = await take({ owner: { partition: 'sync/0', marker: 4 } })
        expect(older).toMatchObject({ kind: 'wait', reason: 'superseded' })
      })
    })

    describe('pauses', () => {
      it('nothing is granted until a pause ends, and only a later end counts', async () => {
        await limit.pause('destination/api', 500)
        await limit.pause('destination/api', 100)
        const wait = await take()
        expect(wait).toMatchObject({ kind: 'wait', reason: 'paused' })
        if (wait.kind !== 'wait') return
        expect(wait.waitMs).toBeGreaterThan(400)
        expect(wait.waitMs).toBeLessThanOrEqual(500)
        await limit.pause('destination/api', 800)
        await harness.pass(wait.waitMs)
        expect(await take()).toMatchObject({ kind: 'wait', reason: 'paused' })
        await granted({ scopes: [scope({ name: 'destination/other' })] })
        await harness.pass(400)
        await granted()
      })

      it('a pause of a destination holds for all its syncs, and outlives a restart', async () => {
        await limit.pause('destination/api', 5000)
        await limit[Symbol.asyncDispose]()
        limit = await harness.open()
        const both = [scope(), scope({ name: 'sync/one' })]
        expect(await take({ scopes: both })).toMatchObject({ kind: 'wait', reason: 'paused' })
        await granted({ scopes: [scope({ name: 'destination/other' })] })
      })
    })

    it('an aborted take rejects with the reason and costs nothing', async () => {
      const reason = new Error('shutting down')
      await expect(take({ signal: AbortSignal.abort(reason), want: 10 })).rejects.toBe(reason)
      expect(await granted({ want: 10 })).toMatchObject({ permits: 10 })
    })

    it.each([0, -1, 1.5, NaN, Infinity])('refuses to grant %d permits', async want => {
      await expect(take({ want })).rejects.toMatchObject({ code: 'internal' })
    })

    it.each([1, 2, 3])(
      'no window anywhere holds more than its limit, nor more are in flight, in a random history (%i)',
      async round => {
        const seed = Math.floor(Math.random() * 2 ** 31) + round
        const history = await randomHistory(harness, [limit], seed)
        check(history, seed)
      },
    )

    breakerPromises({ shared, harness: () => harness, limit: () => limit })

    if (!shared) return
    it('an instance that wants little gets it within two windows, however much others want', async () => {
      const scopes = [scope({ rates: [{ requests: 40, windowMs: 1000 }] })]
      const greedy = [limit, await harness.open(), await harness.open()]
      const small = await harness.open()
      const nextAt = new Map<RateLimit, number>()
      const ask = async (by: RateLimit, line: string, want: number): Promise<number> => {
        if (harness.now() < (nextAt.get(by) ?? 0)) return 0
        const grant = await by.take(request({ scopes, line, want }))
        if (grant.kind === 'wait') nextAt.set(by, harness.now() + grant.waitMs)
        return grant.kind === 'granted' ? grant.permits : 0
      }
      let used = 0
      // Less than a fourth of a window: parts of a permit are nobody's.
      let left = 8
      const startMs = harness.now()
      let smallFromMs = Infinity
      let smallToMs = Infinity
      while (harness.now() < startMs + 5_000) {
        // The others always ask first.
        for (const by of greedy) used += await ask(by, 'large', 1_000_000)
        if (harness.now() >= startMs + 1_100 && left > 0) {
          smallFromMs = Math.min(smallFromMs, harness.now())
          left -= await ask(small, 'small', left)
          if (left === 0) smallToMs = harness.now()
        }
        await harness.pass(4)
      }
      expect(smallToMs - smallFromMs).toBeLessThan(2_200)
      expect(used, 'what is kept for others is used').toBeGreaterThan(40 * 5 * 0.85)
    })

    it('what comes free in two parts, one after the other, is shared as if it came at once', async () => {
      const scopes = [scope({ rates: [{ requests: 40, windowMs: 1000 }] })]
      const other = await harness.open()
      await granted({ scopes, line: 'large', want: 10 })
      await harness.pass(20)
      await granted({ scopes, line: 'large', want: 30 })
      const large = await take({ scopes, line: 'large', want: 1_000_000 })
      const small = await other.take(request({ scopes, line: 'small', want: 15 }))
      if (large.kind !== 'wait' || small.kind !== 'wait') throw new Error('there is nothing to wait for')
      let has = 0
      await harness.pass(Math.max(large.waitMs, small.waitMs))
      for (let part = 0; part < 2 && has < 15; part += 1) {
        await take({ scopes, line: 'large', want: 1_000_000 })
        const grant = await other.take(request({ scopes, line: 'small', want: 15 - has }))
        has += grant.kind === 'granted' ? grant.permits : 0
        await harness.pass(40)
      }
      expect(has).toBe(15)
    })

    it('one of several that wait for a slot gets it as soon as they ask', async () => {
      const scopes = [scope({ concurrency: 1, rates: [{ requests: 1000, windowMs: 1000 }] })]
      const { lease } = await granted({ scopes })
      const waiting = [limit, await harness.open(), await harness.open(), await harness.open()]
      const askAll = async (): Promise<Grant[]> => {
        const grants: Grant[] = []
        for (const by of waiting)
          grants.push(await by.take(request({ scopes, line: 'waits', slotLifeMs: 60_000 })))
        return grants
      }
      for (let round = 0; round < 20; round += 1) {
        expect((await askAll()).map(({ kind }) => kind)).toEqual(['wait', 'wait', 'wait', 'wait'])
        await harness.pass(25)
      }
      await limit.giveBack(lease, { unused: 0, finished: 1 })
      expect((await askAll()).filter(({ kind }) => kind === 'granted')).toHaveLength(1)
    })

    it('several instances share one budget', async () => {
      const seed = Math.floor(Math.random() * 2 ** 31)
      const others = [await harness.open(), await harness.open()]
      check(await randomHistory(harness, [limit, ...others], seed), seed)
    })
  })
}

const WINDOWS = [
  { requests: 10, windowMs: 100 },
  { requests: 40, windowMs: 1000 },
]
const CONCURRENCY = 8

interface History {
  readonly uses: readonly number[]
  readonly mostInFlight: number
  readonly durationMs: number
}

interface Step {
  readonly atMs: number
  readonly kind: 'use' | 'finish' | 'unused'
  readonly lease: string
  readonly by: RateLimit
}

/** Takes, uses at any moment of a lease's life, gives back and finishes at random, on two windows at once. */
async function randomHistory(
  harness: RateLimitHarness,
  instances: readonly RateLimit[],
  seed: number,
): Promise<History> {
  const random = randomFrom(seed).next
  const scopes = [{ name: `destination/random-${seed}`, rates: WINDOWS, concurrency: CONCURRENCY }]
  const startMs = harness.now()
  const uses: number[] = []
  let inFlight = 0
  let mostInFlight = 0
  let plan: Step[] = []

  const carryOut = async (step: Step) => {
    if (step.kind === 'use') {
      uses.push(step.atMs)
      inFlight += 1
      mostInFlight = Math.max(mostInFlight, inFlight)
      return
    }
    if (step.kind === 'finish') inFlight -= 1
    const unused = step.kind === 'unused' ? 1 : 0
    await step.by.giveBack(step.lease, { unused, finished: 1 - unused })
  }
  const passUntil = async (untilMs: number) => {
    for (;;) {
      plan.sort((a, b) => a.atMs - b.atMs)
      const next = plan[0]
      if (next === undefined || next.atMs > untilMs) break
      plan = plan.slice(1)
      await harness.pass(Math.max(next.atMs - harness.now(), 0))
      await carryOut(next)
    }
    await harness.pass(Math.max(untilMs - harness.now(), 0))
  }

  for (let n = 0; n < 400; n += 1) {
    const by = instances[Math.floor(random() * instances.length)]
    if (by === undefined) break
    const want = 1 + Math.floor(random() * 12)
    const grant = await by.take({
      scopes,
      owner: { partition: 'sync/0', marker: 1 },
      want,
      slotLifeMs: 10_000,
      signal: never,
    })
    if (grant.kind === 'granted') {
      const deadlineMs = harness.deadline(grant)
      const nowMs = harness.now()
      // The two ends of a lease's life are where a limit that counts wrongly shows.
      const when = random() < 0.6 ? Math.round(random()) : null
      for (let permit = 0; permit < grant.permits; permit += 1) {
        const atMs = nowMs + (when ?? random()) * Math.max(deadlineMs - nowMs, 0)
        // On a busy machine a lease may be over before it arrives.
        if (random() < 0.2 || deadlineMs < nowMs) plan.push({ atMs, kind: 'unused', lease: grant.lease, by })
        else {
          plan.push({ atMs, kind: 'use', lease: grant.lease, by })
          plan.push({ atMs: atMs + 1 + random() * 20, kind: 'finish', lease: grant.lease, by })
        }
      }
    }
    const obedient = grant.kind === 'wait' && grant.reason === 'rate' && random() < 0.5
    await passUntil(harness.now() + (obedient ? grant.waitMs : random() * 30))
  }
  return { uses, mostInFlight, durationMs: harness.now() - startMs }
}

function check({ uses, mostInFlight, durationMs }: History, seed: number): void {
  for (const { requests, windowMs } of WINDOWS) {
    const most = mostInAnyWindow(uses, windowMs)
    expect(most, `requests in ${windowMs} ms with seed ${seed}`).toBeLessThanOrEqual(requests)
  }
  expect(mostInFlight, `in flight with seed ${seed}`).toBeLessThanOrEqual(CONCURRENCY)
  // A limit that grants almost nothing would pass all checks above.
  const possible = (durationMs / 1000) * 40
  expect(uses.length, `uses in ${durationMs} ms with seed ${seed}`).toBeGreaterThan(possible * 0.6)
}
