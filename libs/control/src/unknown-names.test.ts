import { expect, it } from 'vitest'
import { unknownLabel, unknownSync } from './unknown-names.ts'

it('a sync that is not there is told with the nearest one, or with where they are listed', () => {
  const known = ['customers', 'orders']
  expect(unknownSync('costumers', known).message).toBe(
    'There is no sync `costumers`: did you mean `customers`?',
  )
  expect(unknownSync('x', known).message).toBe('There is no sync `x`; `sluice syncs` lists the syncs.')
})

it('a label that no sync has is told with the nearest one, or with all that there are', () => {
  const known = ['crm', 'nightly', 'crm']
  expect(unknownLabel('nightli', known).message).toBe(
    'No sync has the label `nightli`: did you mean `nightly`?',
  )
  expect(unknownLabel('x', known).message).toBe('No sync has the label `x`; there are: crm, nightly.')
  expect(unknownLabel('x', []).message).toBe(
    'No sync has the label `x`: write `labels` of a sync, such as `labels: [crm]`.',
  )
})
