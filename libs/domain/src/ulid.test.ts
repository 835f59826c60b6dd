import { describe, expect, it } from 'vitest'
import { ulid } from './ulid.ts'

describe('a ULID', () => {
  it('has 26 letters: the time first, then chance', () => {
    expect(ulid(1_469_918_176_385, new Uint8Array(10))).toBe('01ARYZ6S410000000000000000')
    expect(ulid(0, new Uint8Array(10).fill(255))).toBe('0000000000ZZZZZZZZZZZZZZZZ')
  })

  it('sorts by time whatever chance says', () => {
    const early = ulid(1000, new Uint8Array(10).fill(255))
    const late = ulid(1001, new Uint8Array(10))
    expect(early < late).toBe(true)
  })

  it('refuses too little chance', () => {
    expect(() => ulid(0, new Uint8Array(9))).toThrow('10 random bytes, found 9')
  })
})
