import { describe, expect, it } from 'vitest'
import { PIECE_BYTES, sizedPieces } from './cut-pieces.ts'

/** Pieces of rows with these bytes each. All 64 rows of a slab have the same. */
function piecesOf(bytes: readonly number[], pieceRows = 65_536) {
  const slabs = new Map<number, number>()
  for (const [row, size] of bytes.entries()) {
    const slab = Math.floor(row / 64)
    slabs.set(slab, (slabs.get(slab) ?? 0) + size)
  }
  return [...sizedPieces(slabs, { rows: bytes.length, pieceRows })]
}

describe('pieces of changes', () => {
  it.each([
    ['many narrow rows', Array<number>(200_000).fill(100)],
    ['rows of 10 KB', Array<number>(3000).fill(10_000)],
    ['rows of 1 MB', Array<number>(192).fill(1_000_000)],
    ['rows of 8 MB', Array<number>(64).fill(8_000_000)],
    ['narrow rows before wide ones', [...Array<number>(6400).fill(100), ...Array<number>(640).fill(200_000)]],
  ])('of %s have limited bytes or one row, and contain each change once', (_, bytes) => {
    let next = 0
    for (const { start, end } of piecesOf(bytes)) {
      expect(start).toBe(next)
      expect(end).toBeGreaterThan(start)
      expect(end - start).toBeLessThanOrEqual(65_536)
      const size = bytes.slice(start, end).reduce((sum, one) => sum + one, 0)
      if (end - start > 1) expect(size).toBeLessThanOrEqual(PIECE_BYTES)
      next = end
    }
    expect(next).toBe(bytes.length)
  })
})
