import type { ResourceView } from '@sluice/contracts/api'
import { describe, expect, it } from 'vitest'
import { nameIn, STARTING_DRAFT, textAt } from './draft.ts'
import { reusedBy, startingFrom, takenName, withNew, withStored } from './reused.ts'

const of = (kind: ResourceView['kind'], name: string, spec = {}): ResourceView => ({
  ...{ kind, name, spec, version: 3, project: '' },
})
const CRM = of('destination', 'crm', { baseUrl: 'https://crm.example.com' })
const LAKE = of('source', 'lake', { type: 'duckdb', path: '/lake' })
const PEOPLE = of('model', 'people', { source: 'lake', sql: 'select 1 as id', primaryKey: 'id' })
const ALL = [CRM, LAKE, PEOPLE, of('sync', 'customers'), of('model', 'customers')]

describe('a new sync', () => {
  it('starts from nothing on an empty server', () => {
    expect(startingFrom([])).toEqual(STARTING_DRAFT)
  })

  it('starts with the stored source and destination, and with free names', () => {
    const draft = startingFrom(ALL)
    expect(nameIn(draft.destination)).toBe('crm')
    expect(textAt(draft.destination, ['baseUrl'])).toBe('https://crm.example.com')
    expect(textAt(draft.sync, ['destination'])).toBe('crm')
    expect(nameIn(draft.model)).toBe('customers-2')
    expect(textAt(draft.model, ['source'])).toBe('lake')
    expect(nameIn(draft.sync)).toBe('customers-2')
    expect(textAt(draft.sync, ['model'])).toBe('customers-2')
    expect(takenName(draft, ALL)).toEqual([])
  })

  it('knows which of its resources are stored, with the version that it starts from', () => {
    expect(reusedBy(startingFrom(ALL), ALL)).toMatchObject({
      source: { name: 'lake', version: 3 },
      destination: { name: 'crm', version: 3 },
    })
    expect(reusedBy(startingFrom(ALL), ALL)).not.toHaveProperty('model')
  })

  it('takes the source of a model that it uses, and can go back to a new one', () => {
    const used = withStored(STARTING_DRAFT, 'model', PEOPLE, ALL)
    expect(textAt(used.sync, ['model'])).toBe('people')
    expect(nameIn(used.source)).toBe('lake')
    const own = withNew(used, 'model', ALL)
    expect(nameIn(own.model)).toBe('customers-2')
    expect(textAt(own.sync, ['model'])).toBe('customers-2')
  })

  it('may not take the place of another one', () => {
    expect(takenName(STARTING_DRAFT, ALL)).toMatchObject([{ file: 'sync.yaml', field: 'name' }])
  })
})
