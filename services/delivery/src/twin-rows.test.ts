/**
 * Rows whose keys an API may take for one: the row that comes is sent once the other one's removal is
 * finished, whatever became of it (PROTOCOL.md §8).
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Request } from '@sluice/contracts/records'
import { always, OK, ScriptedDelivery, type Fate } from './contract/scripted-delivery.ts'
import { lateAfterTakeover } from './run/late-sends.ts'

vi.setConfig({ testTimeout: 30_000 })

let lives: ScriptedDelivery
beforeEach(async () => {
  lives = await ScriptedDelivery.open()
})
afterEach(() => lives[Symbol.asyncDispose]())

/** `K1` is removed, and `k1` comes in its place. */
const fields = (key: string): Partial<Request> => ({
  twins: /^k\d/i.test(key) ? [key.toLowerCase()] : null,
  trigger: key.startsWith('K') ? 'removed' : 'added',
})
const LATER: Fate = { status: 400, retryAfter: 600 }
const { signal } = new AbortController()

describe('the row of a twin', () => {
  it('waits while the removal waits for its next try, and no other request does', async () => {
    const others = Array.from({ length: 300 }, (_, i) => `other${i}`)
    await lives.begin(['K1', 'k1', ...others], { fields })
    lives.api.script = key => (key === 'K1' ? LATER : OK)
    const life = lives.live()
    await lives.untilAttempts(1 + others.length)
    await life.drain()
    expect(new Set(lives.api.keys)).toEqual(new Set(['K1', ...others]))
    expect(lives.api.keys.filter(key => key === 'K1')).toHaveLength(1)
    lives.api.script = always(OK)
    await lives.tell({ cancelling: true })
    await lives.finish()
    expect(lives.api.keys).not.toContain('k1')
    expect(lives.counts).toMatchObject({ delivered: others.length, unsent: 1 })
  })

  it.each<readonly [string, Fate, number]>([
    ['delivered', OK, 1],
    ['rejected', { status: 422 }, 2],
    ['tried in vain', { status: 500 }, 3],
    ['unknown', 'time-out', 3],
    ['unsent', 'refused', 3],
  ])('goes on once the removal is %s', async (_, fate, tries) => {
    const pairs = ['1', '2', '3']
    await lives.begin([...pairs.map(n => `K${n}`), ...pairs.map(n => `k${n}`)], {
      fields,
      errors: { attempts: Math.max(1, tries - 1) },
    })
    lives.api.script = key => (key.startsWith('K') ? fate : OK)
    await lives.finish()
    const { keys } = lives.api
    for (const n of pairs) {
      expect(keys.filter(key => key.toLowerCase() === `k${n}`)).toEqual([
        ...Array<string>(tries).fill(`K${n}`),
        `k${n}`,
      ])
    }
    expect(lives.counts).toMatchObject({ delivered: pairs.length })
  })

  it('waits in a successor, too, and not for a removal that a predecessor has finished', async () => {
    await lives.begin(['K1', 'K2', 'k1', 'k2'], { fields, sync: { limits: { concurrency: 2 } } })
    lives.api.script = key => (key === 'K1' ? OK : 'silent')
    const first = lives.live()
    await Promise.all([lives.api.until(3), lives.untilAttempts(1)])
    await first.kill()
    expect(lives.api.keys.toSorted()).toEqual(['K1', 'K2', 'k1'])
    lives.api.script = (key, nth) => (key === 'K2' && nth === 1 ? { status: 500, retryAfter: 1 } : OK)
    await lives.finish()
    expect(lives.api.keys.filter(key => key.endsWith('2'))).toEqual(['K2', 'K2', 'K2', 'k2'])
    expect(lives.api.keys.filter(key => key.endsWith('1'))).toEqual(['K1', 'k1', 'k1'])
  })

  it('waits until a removal that a killed process had sent can arrive no more', async () => {
    const LATE_MS = 700
    await lives.begin(['K1', 'k1', 'other'], { fields })
    lives.api.script = always('silent')
    const first = lives.live()
    await lives.api.until(2)
    await first.kill()
    lives.api.script = always(OK)
    const sinceMs = Date.now()
    await lives.finish({ lateSends: lateAfterTakeover(() => LATE_MS) })
    const sentMs = lives.api.tries.findLast(({ key }) => key === 'k1')?.atMs ?? 0
    expect(sentMs - sinceMs).toBeGreaterThanOrEqual(LATE_MS)
    expect(lives.api.keys.slice(2)).toEqual(['K1', 'other', 'k1'])
  })

  it('takes no doubt of a successor from requests that went out behind it', async () => {
    const errors = { attempts: 1 }
    const keys = ['K1', 'K2', 'K3', 'k1', 'k2', 'k3', 'other']
    await lives.begin(keys, { fields, errors, sync: { limits: { concurrency: 1 } } })
    lives.api.script = key => (key === 'other' ? 'silent' : { status: 400, retryAfter: 1 })
    const first = lives.live()
    await Promise.all([lives.api.until(4), lives.untilAttempts(3)])
    await first.kill()
    expect(lives.api.keys).toEqual(['K1', 'K2', 'K3', 'other'])
    lives.api.script = key => (key === 'other' ? { status: 422 } : OK)
    await lives.finish()
    expect(await lives.entries()).toMatchObject([{ outcome: 'unknown', status: 422 }])
  })

  it('is doubted by a successor only if its predecessor may have had it in work', async () => {
    const ACTIVE = 64
    const removed = Array.from({ length: 2 * ACTIVE }, (_, n) => `K${n}`)
    await lives.begin(['first', ...removed], { fields, sync: { limits: { concurrency: 1 } } })
    lives.api.script = always('silent')
    const first = lives.live()
    await lives.api.until(1)
    await first.kill()
    await lives.tell({ cancelling: true })
    await lives.finish()
    const ends = (await lives.attempts()).filter(({ final }) => final)
    expect(ends).toHaveLength(1 + removed.length)
    expect(ends.filter(({ outcome }) => outcome === 'unknown')).toHaveLength(1 + ACTIVE)
  })

  it('ends with the run that is cancelled while it waits', async () => {
    await lives.begin(['K1', 'k1'], { fields })
    lives.api.script = always(LATER)
    const life = lives.live()
    await lives.untilAttempts(1)
    await lives.tell({ cancelling: true })
    await lives.world.runs.until(() => lives.counts.unsent === 1, { signal })
    await life.drain()
    expect(lives.api.keys).toEqual(['K1'])
  })
})
