import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bottleneckAdmission } from './adapters/bottleneck.ts'
import { createLocalRateLimit } from './adapters/local.ts'
import { FRONT_PLACES } from './lease-lane.ts'
import { createLeaseQueue, type Lease, type LeaseQueue, type LeaseWant } from './lease-queue.ts'
import type { LimitScope, RateLimit } from './port.ts'

describe('the lease queue', () => {
  let limit: RateLimit
  let queue: LeaseQueue
  const abort = new AbortController()
  const signal = abort.signal
  beforeEach(() => {
    limit = createLocalRateLimit()
    queue = createLeaseQueue(limit, bottleneckAdmission)
  })
  afterEach(async () => {
    await queue[Symbol.asyncDispose]()
    await limit[Symbol.asyncDispose]()
  })

  const scope = (name: string, over: Partial<LimitScope> = {}): LimitScope => ({
    name,
    rates: [{ requests: 1_000_000, windowMs: 1000 }],
    concurrency: 1,
    ...over,
  })
  const want = (over: Partial<LeaseWant> = {}): LeaseWant => ({
    scopes: [scope('destination/api')],
    owner: { partition: 'sync/0', marker: 1 },
    want: 1,
    // So long that a test that depends on its end never passes.
    slotLifeMs: 3_600_000,
    ...over,
  })
  const acquire = (over: Partial<LeaseWant> = {}) => queue.acquire(want(over), { signal })
  const finish = (lease: Lease) => queue.giveBack(lease, { unused: 0, finished: lease.permits })

  it('grants at once while there is room, as much as is wanted', async () => {
    const wide = [scope('destination/api', { concurrency: 100 })]
    expect(await acquire({ scopes: wide, want: 60 })).toMatchObject({ permits: 60 })
    expect(await acquire({ scopes: wide, want: 60 })).toMatchObject({ permits: 40 })
    expect(queue.waiting).toBe(0)
  })

  it('serves waiters in the order in which they came, each as soon as a slot comes back', async () => {
    const first = await acquire()
    const served: number[] = []
    const waits = Array.from({ length: 5 }, (_, n) =>
      acquire().then(async lease => {
        served.push(n)
        await finish(lease)
      }),
    )
    await expect.poll(() => queue.waiting).toBe(5)
    await finish(first)
    await Promise.all(waits)
    expect(served).toEqual([0, 1, 2, 3, 4])
    expect(queue.waiting).toBe(0)
  })

  it('serves more than stand in the front, in order too', async () => {
    const first = await acquire()
    const served: number[] = []
    const many = FRONT_PLACES * 4
    const waits = Array.from({ length: many }, (_, n) =>
      acquire().then(async lease => {
        served.push(n)
        await finish(lease)
      }),
    )
    await expect.poll(() => queue.waiting).toBe(many)
    await finish(first)
    await Promise.all(waits)
    expect(served).toEqual(Array.from({ length: many }, (_, n) => n))
  })

  it('permits that come back in one turn of the event loop become one lease', async () => {
    const wide = [scope('destination/api', { concurrency: 50 })]
    const all = await acquire({ scopes: wide, want: 50 })
    const next = acquire({ scopes: wide, want: 100 })
    await expect.poll(() => queue.waiting).toBe(1)
    for (let n = 0; n < 30; n += 1) void queue.giveBack(all, { unused: 0, finished: 1 })
    expect(await next).toMatchObject({ permits: 30 })
  })

  it('waits for the rate as long as it has to and no longer', async () => {
    const slow = [scope('destination/api', { concurrency: 100, rates: [{ requests: 5, windowMs: 50 }] })]
    const start = performance.now()
    let permits = 0
    while (permits < 20) permits += (await acquire({ scopes: slow, want: 20 })).permits
    const took = performance.now() - start
    expect(took).toBeGreaterThan(3 * 75)
    expect(took).toBeLessThan(3 * 75 + 150)
  })

  it('unused permits wake the waiters for the rate', async () => {
    const rare = [
      scope('destination/api', { concurrency: 100, rates: [{ requests: 5, windowMs: 3_600_000 }] }),
    ]
    const all = await acquire({ scopes: rare, want: 5 })
    const next = acquire({ scopes: rare, want: 5 })
    await expect.poll(() => queue.waiting).toBe(1)
    await queue.giveBack(all, { unused: 2, finished: 3 })
    expect(await next).toMatchObject({ permits: 2 })
  })

  it('a sync that waits for its own limit holds up no other sync of its destination', async () => {
    const destination = scope('destination/api', { concurrency: 10 })
    const starved = scope('sync/starved', { rates: [{ requests: 1, windowMs: 3_600_000 }], concurrency: 10 })
    const scopes = [destination, starved]
    await finish(await acquire({ scopes }))
    const stop = new AbortController()
    const stuck = queue.acquire(want({ scopes }), { signal: stop.signal })
    await expect.poll(() => queue.waiting).toBe(1)
    const other = [destination, scope('sync/other', { concurrency: 10 })]
    for (let n = 0; n < 50; n += 1) await finish(await acquire({ scopes: other, want: 8 }))
    expect(queue.waiting).toBe(1)
    stop.abort(new Error('enough'))
    await expect(stuck).rejects.toThrow('enough')
  })

  it.each([
    ['slots', { concurrency: 1 }],
    ['the rate', { concurrency: 10, rates: [{ requests: 1, windowMs: 1 }] }],
  ])('syncs of one destination share %s evenly', async (_what, over) => {
    const destination = scope('destination/api', over)
    const counts = { a: 0, b: 0, c: 0 }
    const stop = new AbortController()
    const run = async (name: 'a' | 'b' | 'c') => {
      const scopes = [destination, scope(`sync/${name}`, { concurrency: 10 })]
      for (;;) {
        const lease = await queue.acquire(want({ scopes, want: 5 }), { signal: stop.signal })
        counts[name] += lease.permits
        if (counts.a + counts.b + counts.c >= 60) stop.abort(new Error('enough'))
        await turn()
        await finish(lease)
      }
    }
    await Promise.allSettled([run('a'), run('a'), run('b'), run('c')])
    for (const count of Object.values(counts)) expect(count).toBeGreaterThanOrEqual(14)
  })

  it('an abort ends a wait at once, in the front and behind it, and the next ones are served', async () => {
    const first = await acquire()
    const stop = new AbortController()
    const waits = Array.from({ length: FRONT_PLACES + 4 }, () =>
      queue.acquire(want(), { signal: stop.signal }),
    )
    const last = acquire()
    await expect.poll(() => queue.waiting).toBe(FRONT_PLACES + 5)
    const reason = new Error('cancelled')
    stop.abort(reason)
    for (const each of await Promise.allSettled(waits)) expect(each).toMatchObject({ reason })
    expect(queue.waiting).toBe(1)
    await finish(first)
    await finish(await last)
    await expect(queue.acquire(want(), { signal: stop.signal })).rejects.toBe(reason)
  })

  it('an owner that a newer one has replaced learns that, also while it waits', async () => {
    const first = await acquire({ owner: { partition: 'sync/0', marker: 3 } })
    const waiting = acquire({ owner: { partition: 'sync/0', marker: 3 } })
    const newer = acquire({ owner: { partition: 'sync/0', marker: 4 } })
    await expect.poll(() => queue.waiting).toBe(2)
    // The newer owner stands behind, so the limit learns its marker from another call.
    const elsewhere = await limit.take({
      ...want({ scopes: [scope('destination/other')], owner: { partition: 'sync/0', marker: 4 } }),
      signal,
    })
    expect(elsewhere.kind).toBe('granted')
    await finish(first)
    await expect(waiting).rejects.toMatchObject({ code: 'fenced' })
    await finish(await newer)
    await expect(acquire({ owner: { partition: 'sync/0', marker: 3 } })).rejects.toMatchObject({
      code: 'fenced',
    })
  })

  it('an error of the limit goes to the waiter whose turn it was, and the next is served', async () => {
    const failing = flaky(limit)
    const flakyQueue = createLeaseQueue(failing.limit, bottleneckAdmission)
    const first = await flakyQueue.acquire(want(), { signal })
    const second = flakyQueue.acquire(want(), { signal })
    const third = flakyQueue.acquire(want(), { signal })
    await expect.poll(() => flakyQueue.waiting).toBe(2)
    failing.breakOnce()
    await flakyQueue.giveBack(first, { unused: 0, finished: 1 })
    await expect(second).rejects.toThrow('not reachable')
    expect(await third).toMatchObject({ permits: 1 })
  })

  it('tells why waiters were refused, and for how long at most, until one of them gets a lease', async () => {
    const scopes = [scope('api', { concurrency: 1 })]
    expect(queue.waitOf({ scopes })).toBeNull()
    const first = await acquire({ scopes })
    const second = acquire({ scopes })
    await expect.poll(() => queue.waitOf({ scopes })?.reason).toBe('concurrency')
    expect(queue.waitOf({ scopes })?.leftMs).toBeGreaterThan(0)
    expect(queue.waitOf({ scopes: [scope('other')] })).toBeNull()
    await queue.giveBack(first, { unused: 0, finished: 1 })
    await second
    expect(queue.waitOf({ scopes })).toBeNull()
  })

  it('a sync with ten requests is out within two windows, whatever another one of its destination wants', async () => {
    const rates = [{ requests: 40, windowMs: 500 }]
    const scopes: readonly LimitScope[] = [{ name: 'destination/fair', rates, concurrency: 1000 }]
    const ending = new AbortController()
    const work = async (line: string, requests: number, partition: number): Promise<void> => {
      for (let left = requests; left > 0;) {
        const owner = { partition: `${line}/${partition}`, marker: 1 }
        const wanted = { ...want(), scopes, line, owner, want: left }
        const lease = await queue.acquire(wanted, { signal: ending.signal })
        left -= lease.permits
        void queue.giveBack(lease, { unused: 0, finished: lease.permits })
      }
    }
    const large = [0, 1, 2, 3].map(partition => work('large', 1_000_000, partition))
    await expect.poll(() => queue.waiting).toBe(4)
    const fromMs = performance.now()
    await work('small', 10, 0)
    expect(performance.now() - fromMs).toBeLessThan(2 * 500 + 200)
    ending.abort()
    await Promise.allSettled(large)
  })

  it('a slot that comes back while the limit is being asked is not missed', async () => {
    const slow = createLeaseQueue(
      {
        trouble: null,
        async take(request) {
          const grant = await limit.take(request)
          // As over a network: the answer was right when it left.
          await turn()
          await turn()
          return grant
        },
        giveBack: (lease, parts) => limit.giveBack(lease, parts),
        pause: (name, forMs) => limit.pause(name, forMs),
        report: (name, evidence) => limit.report(name, evidence),
        [Symbol.asyncDispose]: async () => {},
      },
      bottleneckAdmission,
    )
    let lease = await slow.acquire(want(), { signal })
    for (let turns = 0; turns < 12; turns += 1) {
      const next = slow.acquire(want(), { signal })
      for (let n = 0; n < turns; n += 1) await turn()
      await slow.giveBack(lease, { unused: 0, finished: 1 })
      lease = await next
    }
  })

  it('asks the limit only once it has heard of all that came back before', async () => {
    const { watched, heard } = watch(limit)
    const watchedQueue = createLeaseQueue(watched, bottleneckAdmission)
    const wide = [scope('destination/api', { concurrency: 3 })]
    const lease = await watchedQueue.acquire(want({ scopes: wide, want: 3 }), { signal })
    for (let n = 0; n < 3; n += 1) void watchedQueue.giveBack(lease, { unused: 0, finished: 1 })
    expect(await watchedQueue.acquire(want({ scopes: wide, want: 3 }), { signal })).toMatchObject({
      permits: 3,
    })
    expect(heard).toEqual(['take', '3 finished', 'take'])
  })

  it('tells once in a turn that requests were served, and again after a failure', async () => {
    const { watched, heard } = watch(limit)
    const watchedQueue = createLeaseQueue(watched, bottleneckAdmission)
    const rule = { failures: 50, pauseMs: 1000 }
    const served = { rule, served: true, failures: 0, probe: null }
    const failed = { rule, served: false, failures: 1, probe: null }
    const told = [served, served, failed, served, served].map(evidence =>
      watchedQueue.report('destination/api', evidence),
    )
    await Promise.all(told)
    expect(heard).toEqual(['served', 'failed', 'served'])
    await turn()
    await watchedQueue.report('destination/api', served)
    expect(heard.at(-1)).toBe('served')
    expect(heard).toHaveLength(4)
  })

  it('disposing rejects all waiters and all later calls', async () => {
    await acquire()
    const waits = Array.from({ length: FRONT_PLACES + 2 }, () => acquire())
    await expect.poll(() => queue.waiting).toBe(FRONT_PLACES + 2)
    await queue[Symbol.asyncDispose]()
    for (const each of await Promise.allSettled(waits))
      expect(each).toMatchObject({ reason: { code: 'aborted' } })
    await expect(acquire()).rejects.toMatchObject({ code: 'aborted' })
  })
})

/** A limit whose next take fails once `breakOnce` is called. */
function flaky(limit: RateLimit): { readonly limit: RateLimit; readonly breakOnce: () => void } {
  let broken = false
  return {
    breakOnce: () => {
      broken = true
    },
    limit: {
      trouble: null,
      take(request) {
        if (!broken) return limit.take(request)
        broken = false
        return Promise.reject(new Error('not reachable'))
      },
      giveBack: (lease, parts) => limit.giveBack(lease, parts),
      pause: (name, forMs) => limit.pause(name, forMs),
      report: (name, evidence) => limit.report(name, evidence),
      [Symbol.asyncDispose]: async () => {},
    },
  }
}

/** The limit, and what it hears. */
function watch(limit: RateLimit): { readonly watched: RateLimit; readonly heard: string[] } {
  const heard: string[] = []
  return {
    heard,
    watched: {
      trouble: null,
      take(request) {
        heard.push('take')
        return limit.take(request)
      },
      giveBack(lease, parts) {
        heard.push(`${parts.finished} finished`)
        return limit.giveBack(lease, parts)
      },
      pause: (name, forMs) => limit.pause(name, forMs),
      report(name, evidence) {
        heard.push(evidence.served ? 'served' : 'failed')
        return limit.report(name, evidence)
      },
      [Symbol.asyncDispose]: async () => {},
    },
  }
}
