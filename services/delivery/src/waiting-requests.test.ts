/**
 * Requests that wait for a retry in the run, whatever happens meanwhile (PROTOCOL.md
 * §8).
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { at } from '@sluice/topics/topics'
import { watchedLog } from '@sluice/testkit/watched-log'
import { always, OK, ScriptedDelivery, topics, type Fate } from '../test/scripted-delivery.ts'
import { DeliveryMemory } from './delivery-memory.ts'

vi.setConfig({ testTimeout: 30_000 })

let lives: ScriptedDelivery
beforeEach(async () => {
  lives = await ScriptedDelivery.open()
})
afterEach(() => lives[Symbol.asyncDispose]())

/** Sets the clock forward, until the test is over. */
function anHourLater(): void {
  const now = Date.now.bind(Date)
  vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000)
}

/** Returns the bytes of typed arrays that are still in use. */
async function arrayBytes(): Promise<number> {
  setFlagsFromString('--expose-gc')
  // The memory of garbage is freed a little later.
  for (let turn = 0; turn < 3; turn += 1) {
    runInNewContext('gc()')
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return process.memoryUsage().arrayBuffers
}

describe('a request that waits for a retry', () => {
  const LATER: Fate = { status: 400, retryAfter: 600 }

  it('does not hold up those behind it, however many', async () => {
    const others = Array.from({ length: 500 }, (_, i) => `k${i}`)
    await lives.begin(['first', ...others], { sync: { limits: { concurrency: 2 } } })
    lives.api.script = key => (key === 'first' ? LATER : OK)
    const life = lives.live()
    await lives.api.until(501)
    await life.drain()
    expect(new Set(lives.api.keys)).toEqual(new Set(['first', ...others]))
    expect(lives.api.keys.filter(key => key === 'first')).toHaveLength(1)
  })

  it('settles nothing, and counts nothing', async () => {
    await lives.begin(['a', 'b'])
    lives.api.script = key => (key === 'a' ? LATER : OK)
    const life = lives.live()
    await lives.untilAttempts(2)
    expect((await lives.attempts()).find(({ final }) => !final)).toMatchObject({
      outcome: 'rejected',
      attempt: 1,
    })
    await life.drain()
    expect(await lives.entries()).toEqual([])
    const last = (await lives.world.read(at(topics.attempts, 0))).at(-1)?.record
    expect(last).toMatchObject({ value: { kind: 'release', checkpoint: { counts: {} } } })
  })

  it('is tried once it is due, and no sooner', async () => {
    await lives.begin(['a'])
    lives.api.script = always({ status: 400, retryAfter: 1 }, OK)
    await lives.finish()
    const [first, second] = lives.api.tries
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990)
  })

  it('is left to a successor by a drain at once, which sends it again when it is due', async () => {
    await lives.begin(['a'], { errors: { attempts: 2 } })
    lives.api.script = always('time-out', { status: 400, retryAfter: 1 }, { status: 400 })
    const life = lives.live()
    await lives.untilAttempts(2)
    await life.drain()
    const [, waiting] = await lives.attempts()
    await lives.finish()
    expect(lives.api.tries).toHaveLength(3)
    expect(lives.api.tries[2]?.atMs).toBeGreaterThanOrEqual((waiting?.nextTryAt ?? Infinity) - 1)
    expect((await lives.attempts()).map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
      [1, 'unknown'],
      [2, 'unknown'],
      [3, 'unknown'],
    ])
    expect(await lives.entries()).toMatchObject([{ outcome: 'unknown', attempts: 3, runs: 1 }])
    expect(lives.counts).toMatchObject({ unknown: 1, requests: 1, attempts: 3 })
  })

  it('goes on after a kill, with the retries that were used up', async () => {
    await lives.begin(['a', 'b'], { errors: { attempts: 2 } })
    lives.api.script = (key, nth) => (key === 'b' ? 'silent' : nth === 0 ? LATER : { status: 400 })
    const life = lives.live()
    await Promise.all([lives.untilAttempts(1), lives.api.until(2)])
    await life.kill()
    anHourLater()
    lives.api.script = key => (key === 'b' ? OK : { status: 400 })
    await lives.finish()
    expect((await lives.attempts()).filter(({ seq }) => seq === 0).map(({ attempt }) => attempt)).toEqual([
      1, 2, 3,
    ])
    // The predecessor may have sent it once more.
    expect(await lives.entries()).toMatchObject([{ seq: 0, outcome: 'unknown', attempts: 3 }])
  })

  it.each([
    ['a refusal', [LATER], { outcome: 'rejected', status: 400, answered: true }],
    ['a time-out and a refusal', ['time-out', LATER], { outcome: 'unknown', status: 400, answered: true }],
    ['no connection', ['refused', { status: 400, retryAfter: 600 }], { outcome: 'rejected', status: 400 }],
  ] as const)('comes to what it had last in a cancel: %s', async (_what, fates, entry) => {
    await lives.begin(['a', 'b', 'c'])
    lives.api.script = (key, nth) => (key === 'b' ? always(...fates)(key, nth) : OK)
    const finished = lives.finish()
    await lives.untilAttempts(2 + fates.length)
    await lives.tell({ cancelling: true })
    await finished
    expect(lives.api.tries).toHaveLength(2 + fates.length)
    const key = lives.api.tries.findLast(each => each.key === 'b')?.idempotencyKey
    expect(await lives.entries()).toMatchObject([
      { ...entry, idempotencyKey: key, attempts: fates.length, error: expect.stringContaining('cancelled') },
    ])
    expect((await lives.attempts()).at(-1)).toMatchObject({ attempt: 0, final: true })
    expect(lives.counts).toMatchObject({
      delivered: 2,
      [entry.outcome]: 1,
      requests: 3,
      attempts: 2 + fates.length,
    })
  })

  it('is unknown in a cancel after a kill: an attempt without a record may have gone out', async () => {
    await lives.begin(['a'])
    lives.api.script = (_, nth) => (nth === 0 ? { status: 400 } : 'silent')
    const life = lives.live()
    await lives.api.until(2)
    await life.kill()
    await lives.tell({ cancelling: true })
    await lives.finish()
    expect(lives.api.tries).toHaveLength(2)
    const idempotencyKey = lives.api.tries[1]?.idempotencyKey
    expect(idempotencyKey).not.toBe(lives.api.tries[0]?.idempotencyKey)
    expect(await lives.entries()).toMatchObject([{ outcome: 'unknown', answered: false, idempotencyKey }])
  })

  it('ends with its run, which lasts for longer than its sync allows', async () => {
    await lives.begin(['a'], { sync: { maxDuration: '1s' } })
    lives.api.script = always(LATER)
    await lives.finish()
    expect(await lives.entries()).toMatchObject([{ outcome: 'rejected', attempts: 1 }])
  })

  it('ends with its run, and says of a row that was throttled for how long the API had asked to wait', async () => {
    await lives.begin(['a'], { sync: { maxDuration: '1s' } })
    lives.api.script = always({ status: 429, retryAfter: 60 })
    await lives.finish()
    expect(await lives.entries()).toMatchObject([
      {
        outcome: 'unsent',
        error:
          'the run lasted for longer than its maxDuration: `d` answers HTTP 429, and asked for a pause of 60 s',
      },
    ])
  })

  it('ends with its run, and says of a row that waited for the rate limit that it did', async () => {
    const limits = { rate: { requests: 1, per: 'minute' }, concurrency: 1 }
    await lives.begin(['a', 'b'], { sync: { maxDuration: '1s' }, destination: { limits } })
    lives.api.script = always({ status: 200 })
    await lives.finish()
    expect(await lives.entries()).toMatchObject([
      {
        outcome: 'unsent',
        error: 'the run lasted for longer than its maxDuration: the rate limit is used up',
      },
    ])
  })

  it('is left to the next run if the API asks for more than an hour', async () => {
    await lives.begin(['a'])
    lives.api.script = always({ status: 400, retryAfter: 3601 })
    await lives.finish()
    expect(await lives.attempts()).toMatchObject([{ final: true, outcome: 'rejected' }])
  })
})

describe('ten thousand requests that fail', () => {
  const BODY = 4_000
  const MB = 1_000_000

  it('wait in bounded memory, and are all tried as often as they may be', { timeout: 120_000 }, async () => {
    const keys = Array.from({ length: 10_000 }, (_, i) => `k${i}`)
    const limits = { rate: { requests: 1_000_000, per: 'second' }, concurrency: 100 }
    await lives.begin(keys, { errors: { attempts: 1 }, sync: { limits }, bodyBytes: BODY })
    const memory = new DeliveryMemory(32 * MB)
    let mostBytes = 0
    let heldBytes = Infinity
    lives.api.script = (_key, nth) => {
      mostBytes = Math.max(mostBytes, memory.requests.takenBytes)
      return nth === 0 ? { status: 400, retryAfter: 600 } : { status: 400 }
    }
    const before = await arrayBytes()
    const life = lives.live({ memory })
    await lives.untilAttempts(keys.length)
    // All of them wait. Together their bodies have 40 MB.
    heldBytes = (await arrayBytes()) - before
    await life.drain()
    anHourLater()
    await lives.finish({ memory })
    expect(lives.api.tries).toHaveLength(20_000)
    expect(mostBytes).toBeLessThanOrEqual(16 * MB)
    expect(heldBytes).toBeLessThan(8 * MB)
    expect(memory.requests.takenBytes).toBe(0)
    expect(lives.counts).toMatchObject({ rejected: 10_000, requests: 10_000, attempts: 20_000 })
  })
})

describe('answered requests that the log has not acknowledged', () => {
  it('leave their slots to others, until there are as many of them again', async () => {
    const keys = Array.from({ length: 50 }, (_, i) => `k${i}`)
    await lives.begin(keys, { sync: { limits: { concurrency: 5 } } })
    const release = Promise.withResolvers<void>()
    const isAttempt = (topic: string): boolean => topic === topics.attempts
    const log = watchedLog(lives.world.log, async ({ topic }, records) => {
      if (isAttempt(topic) && records.every(({ key }) => key[0] !== 0xff)) await release.promise
    })
    const finished = lives.finish({ log })
    await lives.api.until(10)
    // Any further request would be sent by then.
    await new Promise(resolve => setTimeout(resolve, 100))
    expect(lives.api.tries).toHaveLength(10)
    release.resolve()
    await finished
    expect(lives.api.tries).toHaveLength(50)
  })
})
