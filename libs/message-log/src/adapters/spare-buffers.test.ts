import { describe, expect, it } from 'vitest'
import { isShared, SpareBuffers } from './spare-buffers.ts'

const MB = 1024 * 1024
const KEPT_MB = 4

describe('buffers that threads share', () => {
  it.each([
    { what: 'of large batches', bytes: 128 * 1024, taken: 200 },
    { what: 'of records that are larger than any that is kept', bytes: 2 * MB, taken: 50 },
  ])('never have more bytes than are kept: $what', ({ bytes, taken }) => {
    const spare = new SpareBuffers({ shared: true })
    const seen = new Set<ArrayBufferLike>()
    for (let round = 0; round < 5; round += 1) {
      const buffers = Array.from({ length: taken }, () => spare.take(bytes))
      for (const { buffer } of buffers) seen.add(buffer)
      for (const buffer of buffers) spare.give(buffer)
    }
    const shared = [...seen].filter(buffer => buffer instanceof SharedArrayBuffer)
    expect(shared.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThanOrEqual(KEPT_MB * MB)
    expect(shared.length > 0).toBe(bytes <= MB)
  })

  it('are taken again', () => {
    const spare = new SpareBuffers({ shared: true })
    const first = spare.take(100_000)
    spare.give(first)
    expect(spare.take(90_000)).toBe(first)
  })

  it('come to have another size when batches do', () => {
    const spare = new SpareBuffers({ shared: true })
    for (const buffer of Array.from({ length: 64 }, () => spare.take(64 * 1024))) spare.give(buffer)
    const shared = Array.from({ length: 2_000 }, () => {
      const buffer = spare.take(512 * 1024)
      spare.give(buffer)
      return isShared(buffer) ? buffer.length : 0
    })
    expect(shared[0]).toBe(0)
    expect(shared.at(-1)).toBe(512 * 1024)
  })
})
