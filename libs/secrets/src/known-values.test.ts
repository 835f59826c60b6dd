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

it('lets what masks see each value, however others are met again', () => {
  const known = new KnownValues([])
  for (let n = 0; n < 500; n += 1) known.add(`first-${n}`)
  for (const value of ['first-498', 'first-499']) known.add(value)
  expect(redactText('first-0', known.all)).toBe('***')
  for (let n = 0; n < 300; n += 1) known.add(`second-${n}`)
  for (const value of ['first-498', 'first-499']) known.add(value)
  for (const value of ['second-0', 'second-299', 'first-499'])
    expect(redactText(value, known.all)).toBe('***')
  expect(redactText('first-0', known.all)).toBe('first-0')
  for (let n = 0; n < 500; n += 1) for (let times = 0; times < 2; times += 1) known.add(`third-${n}`)
  expect(redactText('third-499', known.all)).toBe('***')
  expect(known.all).toHaveLength(500)
})
