/**
 * With `delivery: at-most-once`, no request that may have arrived is sent again, whatever dies when
 * (PROTOCOL.md §8).
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { isIntent } from '@sluice/domain/answers/intent'
import { at } from '@sluice/topics/topics'
import {
  always,
  keysOf,
  OK,
  ScriptedDelivery,
  topics,
  type Fate,
  type Script,
} from '../test/scripted-delivery.ts'

vi.setConfig({ testTimeout: 30_000 })

let lives: ScriptedDelivery
beforeEach(async () => {
  lives = await ScriptedDelivery.open()
})
afterEach(() => lives[Symbol.asyncDispose]())

const begin = (
  keys: readonly string[],
  over: { errors?: object; concurrency?: number } = {},
): Promise<void> =>
  lives.begin(keys, {
    errors: over.errors ?? {},
    sync: { delivery: 'at-most-once', limits: { concurrency: over.concurrency ?? 5 } },
  })
const intents = async (): Promise<number> => (await lives.attempts()).filter(isIntent).length

describe('with at-most-once, a request', () => {
  it('has an intent in the ledger before it is sent', async () => {
    await begin(['a'])
    let announced = -1
    let read: Promise<unknown> = Promise.resolve()
    lives.api.script = () => {
      read = intents().then(count => (announced = count))
      return OK
    }
    await lives.finish()
    await read
    expect(announced).toBe(1)
    const made = await lives.attempts()
    expect(made.map(({ attempt, final, outcome }) => [attempt, final, outcome])).toEqual([
      [1, false, 'unknown'],
      [1, true, 'delivered'],
    ])
    expect(lives.counts).toMatchObject({ delivered: 1, requests: 1, attempts: 1 })
  })

  it.each([
    ['time-out', 1, 'unknown'],
    ['broken', 1, 'unknown'],
    [{ status: 500 }, 1, 'unknown'],
    [{ status: 400 }, 4, 'rejected'],
    ['refused', 4, 'unsent'],
  ] as const)(
    'that meets %j is tried %d times in the run with `retry: now`',
    async (fate, tries, outcome) => {
      await begin(['a'])
      lives.api.script = always(fate)
      await lives.finish()
      expect(lives.api.tries).toHaveLength(tries)
      expect(await lives.entries()).toMatchObject([{ outcome }])
      expect(await intents()).toBe(tries)
    },
  )

  it('that is throttled gets an intent and is sent again', async () => {
    await begin(['a'])
    lives.api.script = always({ status: 429 }, { status: 400 }, OK)
    await lives.finish()
    expect(lives.api.tries).toHaveLength(3)
    expect(await intents()).toBe(3)
    expect(lives.counts).toMatchObject({ delivered: 1 })
  })

  it('that had an intent when the process died is not sent again; all others are sent', async () => {
    await begin(keysOf(40))
    lives.api.script = key => (Number(key.slice(1)) % 3 === 2 ? 'silent' : OK)
    const life = lives.live()
    await lives.api.until(10)
    await life.kill()
    const before = lives.api.keys.slice()
    lives.api.script = always(OK)
    await lives.finish()
    const doubled = lives.api.keys.filter((key, index) => lives.api.keys.indexOf(key) !== index)
    expect(doubled).toEqual([])
    const unknown = (await lives.entries()).filter(({ outcome }) => outcome === 'unknown')
    expect(unknown.length).toBeGreaterThan(0)
    expect(unknown.length).toBeLessThanOrEqual(10)
    expect(lives.counts).toMatchObject({ delivered: 40 - unknown.length, unknown: unknown.length })
    expect(before.length).toBeGreaterThanOrEqual(10)
  })

  it('that had no intent when the process died is certain', async () => {
    await begin(keysOf(40), { errors: { retry: 'next-run', backoff: undefined } })
    lives.api.script = always('silent')
    const life = lives.live()
    await lives.api.until(5)
    await life.kill()
    lives.api.script = always({ status: 400 })
    await lives.finish()
    const { rejected, unknown } = lives.counts
    expect({ rejected, unknown }).toEqual({ rejected: 35, unknown: 5 })
  })

  it('that waited for a retry when the process died is sent again, since its outcome is known', async () => {
    await begin(['a'])
    lives.api.script = always({ status: 400, retryAfter: 1 }, OK)
    const life = lives.live()
    await lives.untilAttempts(2)
    await life.kill()
    await lives.finish()
    expect(lives.api.tries).toHaveLength(2)
    expect(lives.counts).toMatchObject({ delivered: 1 })
  })

  it('that is cancelled while it waits comes to what it had', async () => {
    await begin(['a'])
    lives.api.script = always({ status: 400, retryAfter: 600 })
    const finished = lives.finish()
    await lives.untilAttempts(2)
    await lives.tell({ cancelling: true })
    await finished
    expect(await lives.entries()).toMatchObject([{ outcome: 'rejected' }])
  })

  it.each([1, 2, 3])('is sent at most once through many deaths, at random (%i)', async round => {
    await begin(keysOf(60))
    const random = (key: string, nth: number): number =>
      (Math.imul(Number(key.slice(1)) * 31 + nth * 7 + round, 0x9e3779b1) >>> 8) % 100
    const script: Script = (key, nth): Fate => {
      const drawn = random(key, nth)
      if (drawn < 25) return 'silent'
      if (drawn < 35) return 'time-out'
      if (drawn < 45) return { status: 400 }
      return OK
    }
    const fates = new Map<string, Fate[]>()
    lives.api.script = (key, nth) => {
      const fate = script(key, nth)
      fates.set(key, [...(fates.get(key) ?? []), fate])
      return fate
    }
    for (let life = 0; life < 4; life += 1) {
      const before = lives.api.tries.length
      const living = lives.live()
      await Promise.race([lives.api.until(before + 4), living.done])
      await living.kill()
    }
    lives.api.script = always(OK)
    await lives.finish()
    const isKnown = (fate: Fate): boolean => typeof fate === 'object' && fate.status >= 400
    for (const [key, had] of fates) {
      const tries = lives.api.keys.filter(each => each === key).length
      const unknownAt = had.findIndex(fate => !isKnown(fate))
      if (unknownAt >= 0) expect([key, tries]).toEqual([key, unknownAt + 1])
    }
    const { delivered, rejected, unknown, unsent } = lives.counts
    expect(delivered + rejected + unknown + unsent).toBe(60)
    const last = (await lives.world.read(at(topics.attempts, 0))).at(-1)?.record
    expect(last?.name).toBe('sluice.Marker')
  })
})
