import { expect, it } from 'vitest'
import { formOf } from './key-form.ts'

it('is the same for keys that an API may take for one', () => {
  const spellings = [
    'ann@x.com',
    'Ann@X.com',
    ' ann@x.com ',
    'Änn@x.com',
    'A\u0308nn@x.com',
    'ann@x\u200b.com',
  ]
  expect(new Set(spellings.map(formOf))).toEqual(new Set(['ann@x.com']))
})

it('is the key itself for keys that nothing is left of, and for very long ones', () => {
  expect(formOf('  ')).toBe('  ')
  expect(formOf('A'.repeat(1_001))).toBe('A'.repeat(1_001))
})

it('keeps keys apart that differ in more', () => {
  expect(formOf('7')).not.toBe(formOf('07'))
  expect(formOf('["a","b"]')).not.toBe(formOf('["ab",""]'))
})
