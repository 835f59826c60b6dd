import { expect, it } from 'vitest'
import { unknownSync } from './unknown-names.ts'

it('a sync that is not there is told with the nearest one, or with where they are listed', () => {
  const known = ['customers', 'orders']
  expect(unknownSync('costumers', known).message).toBe(
    'There is no sync `costumers`: did you mean `customers`?',
  )
  expect(unknownSync('x', known).message).toBe('There is no sync `x`; `sluice syncs` lists the syncs.')
})
