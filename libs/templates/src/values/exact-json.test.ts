import { Decimal } from '@sluice/contracts/values'
import { describe, expect, it } from 'vitest'
import { parseExactJson } from './exact-json.ts'

describe('exact JSON', () => {
  it('reads what JavaScript holds as it is', () => {
    expect(parseExactJson('{"a":[1,-2.5,1e3,0.1,"x",true,null,1.50,1E-7,0.0]}')).toEqual({
      a: [1, -2.5, 1000, 0.1, 'x', true, null, 1.5, 1e-7, 0],
    })
  })

  it('reads integers beyond 2^53 with all their digits', () => {
    expect(parseExactJson('[9007199254740991,9007199254740993,-9223372036854775808]')).toEqual([
      9007199254740991,
      9007199254740993n,
      -9223372036854775808n,
    ])
  })

  it('reads decimals that no double holds with all their digits', () => {
    expect(parseExactJson('[0.12345678901234567890,1e400,-1.0000000000000000001]')).toEqual([
      new Decimal('0.12345678901234567890'),
      new Decimal('1e400'),
      new Decimal('-1.0000000000000000001'),
    ])
  })

  it('reads a field called __proto__ as a field', () => {
    const value = parseExactJson('{"__proto__":{"a":1}}')
    expect(JSON.stringify(value)).toBe('{"__proto__":{"a":1}}')
    expect('a' in Object(value)).toBe(false)
  })

  it('throws for what is not JSON', () => {
    expect(() => parseExactJson('{a:1}')).toThrow(SyntaxError)
  })
})
