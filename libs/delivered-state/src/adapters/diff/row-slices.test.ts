import { describe, expect, it } from 'vitest'
import { cutSlices, SLICE_BYTES, type Slab } from './row-slices.ts'

/** Slabs of this many rows. All rows of a slab have the same bytes. */
function slabsOf(bytes: readonly number[], rows = 2048): readonly Slab[] {
  return bytes.map((most, i) => ({ from: i * rows, to: (i + 1) * rows, total: most * rows, most }))
}

describe('stretches of rows', () => {
  it('are a single slice for narrow rows, however many there are', () => {
    const { slices } = cutSlices(slabsOf(Array<number>(5000).fill(200)))
    expect(slices).toEqual([{ from: 0, to: 5000 * 2048 }])
  })

  it.each([
    ['rows of 10 KB', Array<number>(5).fill(10_000)],
    ['rows of 1 MB', [1_000_000]],
    ['rows of 8 MB', [8_000_000]],
    ['wide rows among narrow ones', [100, 100, 50_000, 100, 900_000, 100]],
  ])('have few bytes and contain each row once: %s', (_, bytes) => {
    const { slices, readBytes } = cutSlices(slabsOf(bytes))
    expect(readBytes).toBe(Math.max(...bytes) * 2048)
    let next = 0
    for (const { from, to } of slices) {
      expect(from).toBe(next)
      const most = Math.max(...bytes.slice(Math.floor(from / 2048), Math.ceil(to / 2048)))
      if (most * 2048 > SLICE_BYTES) expect((to - from) * most).toBeLessThanOrEqual(SLICE_BYTES)
      next = to
    }
    expect(next).toBe(bytes.length * 2048)
  })

  it('have one row each if a row is larger than a slice may be', () => {
    const { slices } = cutSlices([{ from: 0, to: 3, total: 60_000_000, most: 20_000_000 }])
    expect(slices).toEqual([
      { from: 0, to: 1 },
      { from: 1, to: 2 },
      { from: 2, to: 3 },
    ])
  })
})
