import { expect, it } from 'vitest'
import { KnownValues } from './known-values.ts'
import { redactText } from './redact.ts'

it('keeps a value that is met again, however many tokens come and go', () => {
  const known = new KnownValues(['of-the-environment'])
  known.add('of-the-vault')
  for (let n = 0; n < 5_000; n += 1) {
    known.add(`token-number-${n}`)
    if (n % 100 === 0) known.add('of-the-vault')
    if (!known.all.includes('of-the-vault')) throw new Error(`forgotten after ${n} tokens`)
  }
  const text = redactText('of-the-environment of-the-vault token-number-4999', known.all)
  expect(text).toBe('*** *** ***')
  expect(known.all.length).toBeLessThanOrEqual(501)
})
