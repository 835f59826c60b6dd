import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { sleep } from './sleep.ts'
import { DeadlineExceeded, withDeadline } from './with-deadline.ts'

const reason = new Error('enough')

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})

afterEach(() => {
  vi.useRealTimers()
})

test('work that ends in time gives its result and leaves nothing behind', async () => {
  const { signal } = new AbortController()
  expect(await withDeadline(1000, { signal }, async () => 'done')).toBe('done')
  expect(vi.getTimerCount()).toBe(0)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test('work that takes too long is aborted with what it was given', async () => {
  const { signal } = new AbortController()
  const working = withDeadline(1000, { signal }, inner => sleep(5000, { signal: inner }))
  const refused = expect(working).rejects.toThrow(new DeadlineExceeded(1000))
  await vi.advanceTimersByTimeAsync(1000)
  await refused
})

test("the caller's abort reaches the work with its reason", async () => {
  const controller = new AbortController()
  const working = withDeadline(1000, { signal: controller.signal }, inner => sleep(5000, { signal: inner }))
  controller.abort(reason)
  await expect(working).rejects.toBe(reason)
  expect(vi.getTimerCount()).toBe(0)
})

test('with an aborted signal the work is not begun', async () => {
  const work = vi.fn(async () => {})
  await expect(withDeadline(1000, { signal: AbortSignal.abort(reason) }, work)).rejects.toBe(reason)
  expect(work).not.toHaveBeenCalled()
})

test('work that ignores its signal is waited for', async () => {
  const { signal } = new AbortController()
  let settled = false
  const working = withDeadline(
    10,
    { signal },
    () => new Promise<string>(resolve => setTimeout(resolve, 50, 'late')),
  )
  void working.then(() => (settled = true))
  await vi.advanceTimersByTimeAsync(49)
  expect(settled).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(await working).toBe('late')
})
