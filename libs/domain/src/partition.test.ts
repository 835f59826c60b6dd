import { describe, expect, it } from 'vitest'
import { murmur2, partitionOf } from './partition.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('murmur2', () => {
  // The vectors of Kafka's own UtilsTest.
  it.each<[string, number]>([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ])('of %s is what Java computes', (text, hash) => {
    expect(murmur2(bytes(text))).toBe(hash)
  })

  it('takes bytes as unsigned, as Java masks them', () => {
    expect(murmur2(Uint8Array.of(0x61, 0x62, 0x63))).toBe(479470107)
    expect(murmur2(Uint8Array.of(0xff, 0xfe, 0xfd))).not.toBe(murmur2(Uint8Array.of(0x7f, 0x7e, 0x7d)))
  })
})

describe('partitionOf', () => {
  it('drops the sign bit instead of negating', () => {
    expect(partitionOf(bytes('21'), 4)).toBe((-973932308 & 0x7fffffff) % 4)
  })

  it('stays in range for every length of key and spreads evenly', () => {
    const hits = new Array<number>(7).fill(0)
    for (let i = 0; i < 7000; i++) {
      const p = partitionOf(bytes('k'.repeat(i % 9) + String(i)), 7)
      hits[p] = (hits[p] ?? 0) + 1
    }
    for (const hit of hits) expect(hit).toBeGreaterThan(800)
  })
})
