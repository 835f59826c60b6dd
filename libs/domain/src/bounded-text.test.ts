import { describe, expect, it } from 'vitest'
import { boundedOrNull, boundedText } from './bounded-text.ts'

describe('boundedText', () => {
  it('leaves a text that fits as it is, to the byte', () => {
    for (const text of ['', 'a', 'a'.repeat(20), 'ä'.repeat(10), '😀'.repeat(5)])
      expect(boundedText(text, 20)).toBe(text)
  })

  it('cuts a longer one to the bound, between characters, and shows that it goes on', () => {
    expect(boundedText('a'.repeat(21), 20)).toBe('a'.repeat(16) + ' …')
    expect(boundedText('ä'.repeat(11), 20)).toBe('ä'.repeat(8) + ' …')
    expect(boundedText('😀'.repeat(6), 20)).toBe('😀'.repeat(4) + ' …')
    for (const text of ['x'.repeat(100_000), '€'.repeat(100_000), '😀'.repeat(100_000)]) {
      const cut = boundedText(text, 1_000)
      expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(1_000)
      expect(Buffer.byteLength(cut)).toBeGreaterThan(990)
      expect(Buffer.from(cut).toString()).toBe(cut)
    }
  })

  it('leaves what is missing missing', () => {
    expect(boundedOrNull(null, 10)).toBeNull()
    expect(boundedOrNull('12345678901', 10)).toBe('123456 …')
  })
})
