import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { nextTurn, sleep } from './sleep.ts'

const reason = new Error('enough')

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})

afterEach(() => {
  vi.useRealTimers()
})

test('sleeps for as long as asked', async () => {
  const { signal } = new AbortController()
  let awake = false
  const sleeping = sleep(1000, { signal }).then(() => (awake = true))
  await vi.advanceTimersByTimeAsync(999)
  expect(awake).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  await sleeping
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test('an abort wakes it with the reason and leaves no timer behind', async () => {
  const controller = new AbortController()
  const sleeping = sleep(1000, { signal: controller.signal })
  controller.abort(reason)
  await expect(sleeping).rejects.toBe(reason)
  expect(vi.getTimerCount()).toBe(0)
  await expect(sleep(1000, { signal: controller.signal })).rejects.toBe(reason)
  expect(vi.getTimerCount()).toBe(0)
})

test('a wait longer than a timer can hold does not end at once', async () => {
  const controller = new AbortController()
  let awake = false
  const sleeping = sleep(2 ** 40, { signal: controller.signal }).then(
    () => (awake = true),
    () => {},
  )
  await vi.advanceTimersByTimeAsync(24 * 3_600_000)
  expect(awake).toBe(false)
  controller.abort(reason)
  await sleeping
})

test('the next turn comes after what the present one still has to do', async () => {
  const order: string[] = []
  const turn = nextTurn().then(() => order.push('next turn'))
  queueMicrotask(() => order.push('this turn'))
  await turn
  expect(order).toEqual(['this turn', 'next turn'])
})
