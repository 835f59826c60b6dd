import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { Notifier } from './notifier.ts'

const reason = new Error('enough')
const { signal } = new AbortController()

test('wakes all that wait, once', async () => {
  const changes = new Notifier()
  const waiting = [1, 2, 3].map(() => changes.after(changes.version, { signal }))
  expect(changes.waiting).toBe(3)
  changes.notify()
  await Promise.all(waiting)
  expect(changes.waiting).toBe(0)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test('a change between looking and waiting is not missed', async () => {
  const changes = new Notifier()
  const seen = changes.version
  changes.notify()
  await changes.after(seen, { signal })
})

test('an aborted wait rejects with the reason and is forgotten', async () => {
  const changes = new Notifier()
  const controller = new AbortController()
  const waiting = changes.after(changes.version, { signal: controller.signal })
  controller.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  expect(changes.waiting).toBe(0)
  await expect(changes.after(0, { signal: controller.signal })).rejects.toBe(reason)
})

test('a waiter that waits again while it is woken waits for the next change', async () => {
  const changes = new Notifier()
  let wakes = 0
  const loop = (async () => {
    while (wakes < 3) {
      await changes.after(changes.version, { signal })
      wakes += 1
    }
  })()
  for (let i = 1; i <= 3; i += 1) {
    changes.notify()
    changes.notify()
    await new Promise(resolve => setImmediate(resolve))
    expect(wakes).toBe(i)
  }
  await loop
})

test('a condition is waited for over many changes, and what it throws ends the wait', async () => {
  const changes = new Notifier()
  const controller = new AbortController()
  let [value, looks] = [0, 0]
  const reached = changes.until(
    () => {
      looks += 1
      return value === 2
    },
    { signal: controller.signal },
  )
  const fails = changes.until(
    () => {
      if (value === 1) throw reason
      return false
    },
    { signal: controller.signal },
  )
  const aborted = changes.until(() => false, { signal: controller.signal })
  expect([changes.waiting, looks]).toEqual([3, 1])
  value = 1
  changes.notify()
  await expect(fails).rejects.toBe(reason)
  value = 2
  changes.notify()
  // It is over by then, whatever is the case when those who waited go on.
  value = 3
  await reached
  expect([changes.waiting, looks]).toEqual([1, 3])
  controller.abort(reason)
  await expect(aborted).rejects.toBe(reason)
  expect(changes.waiting).toBe(0)
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  // A condition that holds already needs no wait.
  await changes.until(() => true, { signal: controller.signal })
})
