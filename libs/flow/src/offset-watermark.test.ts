import { expect, test } from 'vitest'
import { OffsetWatermark } from './offset-watermark.ts'

test('follows completions in any order with the lowest offset that is not finished', () => {
  const watermark = new OffsetWatermark(7)
  for (const offset of [7, 8, 11]) watermark.start(offset)
  expect(watermark.finish(8)).toBe(false)
  expect(watermark.position).toBe(7)
  expect(watermark.finish(7)).toBe(true)
  expect(watermark.position).toBe(11)
  expect(watermark.finish(11)).toBe(true)
  expect(watermark.position).toBe(12)
})

test('stands where it was put until something starts', () => {
  const watermark = new OffsetWatermark(5)
  expect(watermark.position).toBe(5)
  watermark.start(9)
  expect(watermark.position).toBe(9)
})

test('passes over offsets that hold nothing, but not over work under way', () => {
  const watermark = new OffsetWatermark(0)
  watermark.start(2)
  watermark.skipTo(10)
  expect(watermark.position).toBe(2)
  watermark.finish(2)
  expect(watermark.position).toBe(10)
  watermark.skipTo(4)
  expect(watermark.position).toBe(10)
})

test('refuses offsets that do not rise, and completions of what is not under way', () => {
  const watermark = new OffsetWatermark(3)
  expect(() => watermark.start(2)).toThrow()
  watermark.start(3)
  expect(() => watermark.start(3)).toThrow()
  expect(() => watermark.finish(4)).toThrow()
  watermark.finish(3)
  expect(() => watermark.finish(3)).toThrow()
  watermark.skipTo(9)
  expect(() => watermark.start(8)).toThrow()
})

test('is right for a hundred thousand completions in random order, a window at a time', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = randomFrom(seed)
  const watermark = new OffsetWatermark(0)
  const underWay = new Set<number>()
  let next = 0
  for (let step = 0; step < 200_000; step += 1) {
    if (underWay.size < 500 && random() < 0.5) {
      next += Math.floor(random() * 3)
      watermark.start(next)
      underWay.add(next)
      next += 1
    } else if (underWay.size > 0) {
      const nth = Math.floor(random() ** 2 * Math.min(underWay.size, 20))
      const offset = [...take(underWay, nth + 1)].at(-1) ?? 0
      watermark.finish(offset)
      underWay.delete(offset)
    }
    // A set iterates in the order of insertion, so its first is the lowest.
    const [lowest = next] = underWay
    if (watermark.position !== lowest || watermark.underWay !== underWay.size) {
      expect.fail(`seed ${seed}, step ${step}: ${watermark.position} instead of ${lowest}`)
    }
  }
})

function* take<T>(items: Iterable<T>, count: number): Generator<T> {
  let taken = 0
  for (const item of items) {
    yield item
    taken += 1
    if (taken >= count) return
  }
}

/** mulberry32 */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
