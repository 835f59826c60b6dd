import { expect, test } from 'vitest'
import { sleep } from './sleep.ts'
import { SharedWork } from './shared-work.ts'

const reason = new Error('enough')
const { signal } = new AbortController()

/** Work that ends when the test says so, and counts how often it was begun and aborted. */
function controlled() {
  const begun: { readonly signal: AbortSignal; readonly end: PromiseWithResolvers<string> }[] = []
  const work = new SharedWork<string>(async options => {
    const end = Promise.withResolvers<string>()
    options.signal.addEventListener('abort', () => end.reject(options.signal.reason), { once: true })
    begun.push({ signal: options.signal, end })
    return end.promise
  })
  return { work, begun }
}

test('is done once for all callers that wait, and again for a later caller', async () => {
  const { work, begun } = controlled()
  const all = [work.done({ signal }), work.done({ signal })]
  expect(work.isUnderWay).toBe(true)
  begun[0]?.end.resolve('a')
  expect(await Promise.all(all)).toEqual(['a', 'a'])
  expect(work.isUnderWay).toBe(false)
  const later = work.done({ signal })
  begun[1]?.end.resolve('b')
  expect(await later).toBe('b')
})

test('goes on for the others when the one that began it leaves', async () => {
  const { work, begun } = controlled()
  const first = new AbortController()
  const left = work.done({ signal: first.signal })
  const stays = work.done({ signal })
  first.abort(reason)
  await expect(left).rejects.toBe(reason)
  expect(begun[0]?.signal.aborted).toBe(false)
  begun[0]?.end.resolve('a')
  expect(await stays).toBe('a')
})

test('is aborted once no caller waits any more, and a later caller does not join it', async () => {
  const { work, begun } = controlled()
  const only = new AbortController()
  const left = work.done({ signal: only.signal })
  only.abort(reason)
  await expect(left).rejects.toBe(reason)
  expect(begun[0]?.signal.aborted).toBe(true)
  const next = work.done({ signal })
  begun[1]?.end.resolve('b')
  expect(await next).toBe('b')
  expect(begun).toHaveLength(2)
})

test('its failure reaches all who wait, and is not kept', async () => {
  const { work, begun } = controlled()
  const all = [work.done({ signal }), work.done({ signal })]
  begun[0]?.end.reject(reason)
  for (const one of all) await expect(one).rejects.toBe(reason)
  const next = work.done({ signal })
  begun[1]?.end.resolve('b')
  expect(await next).toBe('b')
})

test('an aborted caller begins nothing', async () => {
  const { work, begun } = controlled()
  await expect(work.done({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  await sleep(0, { signal })
  expect(begun).toHaveLength(0)
})
