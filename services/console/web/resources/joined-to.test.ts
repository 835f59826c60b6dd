import { expect, it } from 'vitest'
import { joinedTo } from './joined-to.ts'

const model = (name: string, source: string) => ({ kind: 'model' as const, name, spec: { source } })
const sync = (name: string, of: string, destination: string) => ({ name, model: of, destination })
const KNOWN = {
  resources: [model('people', 'crm'), model('orders', 'crm'), model('stock', 'shop')],
  syncs: [sync('b', 'people', 'mail'), sync('a', 'people', 'search'), sync('c', 'stock', 'search')],
}

it.each([
  ['sync', 'a', [['crm'], ['people'], ['a'], ['search']]],
  ['model', 'people', [['crm'], ['people'], ['a', 'b'], ['mail', 'search']]],
  ['source', 'crm', [['crm'], ['orders', 'people'], ['a', 'b'], ['mail', 'search']]],
  ['destination', 'search', [['crm', 'shop'], ['people', 'stock'], ['a', 'c'], ['search']]],
  ['model', 'orders', [['crm'], ['orders'], [], []]],
  ['destination', 'new', [[], [], [], ['new']]],
] as const)('shows from the point of view of the %s %s what its rows pass through', (kind, name, joined) => {
  const { source, model: models, sync: syncs, destination } = joinedTo({ kind, name }, KNOWN)
  expect([source, models, syncs, destination]).toEqual(joined)
})
