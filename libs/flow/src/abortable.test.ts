import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { abortable } from './abortable.ts'

const reason = new Error('enough')

test('settles as the promise does, and leaves no listener behind', async () => {
  const { signal } = new AbortController()
  expect(await abortable(Promise.resolve(1), { signal })).toBe(1)
  await expect(abortable(Promise.reject(reason), { signal })).rejects.toBe(reason)
  await Promise.resolve()
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test('rejects with the reason as soon as the signal aborts, and ignores what comes later', async () => {
  const controller = new AbortController()
  const { promise, reject } = Promise.withResolvers<number>()
  const waiting = abortable(promise, { signal: controller.signal })
  controller.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  reject(new Error('nobody is left to hear this'))
})

test('with an aborted signal it rejects even if the promise is settled', async () => {
  const signal = AbortSignal.abort(reason)
  await expect(abortable(Promise.resolve(1), { signal })).rejects.toBe(reason)
  await expect(abortable(Promise.reject(new Error('other')), { signal })).rejects.toBe(reason)
})
