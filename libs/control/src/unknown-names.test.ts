import { expect, it } from 'vitest'
import { syncsWith, unknownSync } from './unknown-names.ts'

it('a sync that is not there is told with the nearest one, or with where they are listed', () => {
  const known = ['customers', 'orders']
  expect(unknownSync('costumers', known).message).toBe(
    'There is no sync `costumers`: did you mean `customers`?',
  )
  expect(unknownSync('x', known).message).toBe('There is no sync `x`; `sluice syncs` lists the syncs.')
})

it('a label that no sync has is told with the nearest one, or with all that there are', () => {
  const syncs = [
    { name: 'customers', labels: ['nightly', 'crm'] },
    { name: 'orders', labels: ['crm'] },
  ]
  expect(syncsWith('nightly', syncs)).toEqual(['customers'])
  expect(() => syncsWith('nightli', syncs)).toThrow(
    'No sync has the label `nightli`: did you mean `nightly`?',
  )
  expect(() => syncsWith('x', syncs)).toThrow('No sync has the label `x`; there are: crm, nightly.')
  expect(() => syncsWith('x', [])).toThrow(
    'No sync has the label `x`: write `labels` of a sync, such as `labels: [crm]`.',
  )
})
