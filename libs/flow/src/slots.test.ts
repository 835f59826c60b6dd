import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Slots } from './slots.ts'

const { signal } = new AbortController()

describe('slots', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
  afterEach(() => void vi.useRealTimers())

  it('are given in the order in which they were asked for, no more than there are', async () => {
    const slots = new Slots({ most: 2, overdueMs: 1_000 })
    const given: number[] = []
    const taken = await Promise.all([slots.take({ signal }), slots.take({ signal })])
    const waiting = [1, 2, 3].map(async name => {
      const slot = await slots.take({ signal })
      given.push(name)
      return slot
    })
    await setImmediate()
    expect(given).toEqual([])
    taken[0]?.[Symbol.dispose]()
    taken[0]?.[Symbol.dispose]()
    await setImmediate()
    expect(given).toEqual([1])
    taken[1]?.[Symbol.dispose]()
    ;(await waiting[0])?.[Symbol.dispose]()
    await Promise.all(waiting)
    expect(given).toEqual([1, 2, 3])
  })

  it('stop counting when they are overdue, and are given once all the same', async () => {
    const slots = new Slots({ most: 1, overdueMs: 1_000 })
    const slow = await slots.take({ signal })
    const next = slots.take({ signal })
    const third = slots.take({ signal })
    let thirdHas = false
    void third.then(() => (thirdHas = true))
    await vi.advanceTimersByTimeAsync(999)
    await vi.advanceTimersByTimeAsync(1)
    const second = await next
    slow[Symbol.dispose]()
    await setImmediate()
    expect(thirdHas).toBe(false)
    second[Symbol.dispose]()
    await third
  })

  it('are handed on by a caller that gives up waiting', async () => {
    const slots = new Slots({ most: 1, overdueMs: 1_000 })
    const first = await slots.take({ signal })
    const leaving = new AbortController()
    const gone = slots.take({ signal: leaving.signal })
    const next = slots.take({ signal })
    leaving.abort(new Error('enough'))
    await expect(gone).rejects.toThrow('enough')
    first[Symbol.dispose]()
    await next
    const gaveUp = new AbortController()
    const late = slots.take({ signal: gaveUp.signal })
    const last = slots.take({ signal })
    ;(await next)[Symbol.dispose]()
    gaveUp.abort(new Error('too late'))
    await late.then(
      slot => slot[Symbol.dispose](),
      () => undefined,
    )
    await last
  })
})
