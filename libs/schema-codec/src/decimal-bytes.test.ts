import { describe, expect, it } from 'vitest'
import { decimalBytes, decimalText, unscaledOf } from './decimal-bytes.ts'

const hex = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString('hex')

describe('decimals', () => {
  it.each([
    ['0', 5, 0, '00'],
    ['1.27', 5, 2, '7f'],
    ['1.28', 5, 2, '0080'],
    ['-1.28', 5, 2, '80'],
    ['-1.29', 5, 2, 'ff7f'],
    ['-0.01', 5, 2, 'ff'],
    ['99999999999999999999999999999999999999', 38, 0, '4b3b4ca85a86c47a098a223fffffffff'],
    ['-99999999999999999999999999999999999999', 38, 0, 'b4c4b357a5793b85f675ddc000000001'],
  ])('%s with precision %i and scale %i is %s, and back', (text, precision, scale, bytes) => {
    const encoded = decimalBytes(text, precision, scale)
    expect(hex(encoded)).toBe(bytes)
    expect(decimalText(unscaledOf(encoded ?? new Uint8Array()), scale)).toBe(text)
  })

  it('writes each number in the fewest bytes, on both sides of the border between number and bigint', () => {
    for (let digits = 1; digits <= 38; digits++) {
      for (const sign of [1n, -1n]) {
        for (const offset of [-1n, 0n, 1n]) {
          const unscaled = sign * (10n ** BigInt(digits - 1) + offset)
          const encoded = decimalBytes(String(unscaled), 38, 0) ?? new Uint8Array()
          expect(BigInt(unscaledOf(encoded))).toBe(unscaled)
          expect(BigInt.asIntN(8 * encoded.length, unscaled)).toBe(unscaled)
          if (encoded.length > 1) expect(BigInt.asIntN(8 * (encoded.length - 1), unscaled)).not.toBe(unscaled)
        }
      }
    }
  })

  it('fills up the scale, drops zeros beyond it, and knows no negative zero', () => {
    expect(hex(decimalBytes('1', 5, 2))).toBe('64')
    expect(hex(decimalBytes('1.000', 5, 2))).toBe('64')
    expect(hex(decimalBytes('.5', 5, 2))).toBe('32')
    expect(hex(decimalBytes('+007.', 5, 2))).toBe(hex(decimalBytes('7', 5, 2)))
    expect(hex(decimalBytes('-0.00', 5, 2))).toBe('00')
    expect(decimalText(0, 2)).toBe('0.00')
  })

  it.each(['', '.', '-', 'abc', '1e3', '1,5', ' 1', '1.234', '1000', 'NaN', 'Infinity', '1.2.3'])(
    'takes %j for no decimal(5,2)',
    text => {
      expect(decimalBytes(text, 5, 2)).toBeUndefined()
    },
  )

  it('reads bytes that are not the fewest, and no bytes as zero', () => {
    expect(unscaledOf(new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 5]))).toBe(5)
    expect(unscaledOf(new Uint8Array([255, 255, 255, 255, 255, 255, 255, 255, 251]))).toBe(-5)
    expect(unscaledOf(new Uint8Array())).toBe(0)
  })
})
