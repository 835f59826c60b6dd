import { expect, test } from 'vitest'
import { Channel, CLOSED } from './channel.ts'
import { nextTurn } from './sleep.ts'

const reason = new Error('enough')
const { signal } = new AbortController()

function channel(limitBytes = 10): Channel<string> {
  return new Channel({ limitBytes, sizeOf: text => text.length })
}

test('items leave in the order in which they came', async () => {
  const texts = channel(1000)
  for (let i = 0; i < 600; i += 1) {
    await texts.put(`${i}`, { signal })
    if (i >= 100) expect(await texts.take({ signal })).toBe(`${i - 100}`)
  }
  expect(texts.length).toBe(100)
  texts.close()
  const rest: string[] = []
  for await (const text of texts) rest.push(text)
  expect(rest).toEqual(Array.from({ length: 100 }, (_, i) => `${500 + i}`))
  expect(texts.bytes).toBe(0)
})

test('a producer waits while the bytes would exceed the limit', async () => {
  const texts = channel(10)
  await texts.put('123456', { signal })
  let put = false
  const waiting = texts.put('78901', { signal }).then(() => (put = true))
  await nextTurn()
  expect([put, texts.bytes]).toEqual([false, 6])
  expect(await texts.take({ signal })).toBe('123456')
  await waiting
  expect(texts.bytes).toBe(5)
})

test('an item above the limit is let in alone', async () => {
  const texts = channel(10)
  await texts.put('x'.repeat(100), { signal })
  expect(texts.tryPut('y')).toBe(false)
  expect(await texts.take({ signal })).toHaveLength(100)
  expect(texts.tryPut('y')).toBe(true)
})

test('a small late item does not overtake a large one that waits', async () => {
  const texts = channel(10)
  await texts.put('123456', { signal })
  const puts = [texts.put('large…', { signal }), texts.put('s', { signal })]
  await nextTurn()
  expect(texts.tryPut('t')).toBe(false)
  expect(await texts.take({ signal })).toBe('123456')
  await Promise.all(puts)
  expect([await texts.take({ signal }), await texts.take({ signal })]).toEqual(['large…', 's'])
})

test('a consumer waits for an item, several in the order of their calls', async () => {
  const texts = channel()
  const takes = [texts.take({ signal }), texts.take({ signal })]
  await texts.put('a', { signal })
  await texts.put('b', { signal })
  expect(await Promise.all(takes)).toEqual(['a', 'b'])
})

test('closing lets consumers have what is held, then tells them; putting afterwards is a bug', async () => {
  const texts = channel()
  await texts.put('a', { signal })
  texts.close()
  texts.close()
  expect(await texts.take({ signal })).toBe('a')
  expect(await texts.take({ signal })).toBe(CLOSED)
  await expect(texts.put('b', { signal })).rejects.toThrow('put after close')
  expect(() => texts.tryPut('b')).toThrow('put after close')
})

test('closing wakes whoever waits', async () => {
  const empty = channel()
  const take = empty.take({ signal })
  empty.close()
  expect(await take).toBe(CLOSED)
  const full = channel(1)
  await full.put('a', { signal })
  const put = full.put('b', { signal })
  full.close()
  await expect(put).rejects.toThrow('put after close')
})

test('a failure drops what is held and reaches everybody', async () => {
  const texts = channel(3)
  await texts.put('abc', { signal })
  const put = expect(texts.put('d', { signal })).rejects.toBe(reason)
  texts.fail(reason)
  texts.fail(new Error('a later one'))
  texts.close()
  await put
  expect([texts.bytes, texts.length]).toEqual([0, 0])
  await expect(texts.take({ signal })).rejects.toBe(reason)
  await expect(texts.put('e', { signal })).rejects.toBe(reason)
})

test('an aborted wait rejects with the reason and is out of the way of others', async () => {
  const texts = channel(3)
  await texts.put('abc', { signal })
  const controller = new AbortController()
  const aborted = expect(texts.put('too', { signal: controller.signal })).rejects.toBe(reason)
  const next = texts.put('n', { signal })
  controller.abort(reason)
  await aborted
  expect(await texts.take({ signal })).toBe('abc')
  await next
  expect(await texts.take({ signal })).toBe('n')
  await expect(texts.take({ signal: controller.signal })).rejects.toBe(reason)
  await expect(texts.put('x', { signal: controller.signal })).rejects.toBe(reason)
  expect(texts.length).toBe(0)
})
