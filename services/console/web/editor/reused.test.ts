import type { ResourceView } from '@sluice/contracts/api'
import { describe, expect, it } from 'vitest'
import { nameIn, STARTING_DRAFT, textAt, withText } from './draft.ts'
import {
  reusedBy,
  startingFrom,
  syncsThatUse,
  takenName,
  unchosen,
  withCopy,
  withNew,
  withStored,
} from './reused.ts'

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

  it('asks for source and destination where some are stored, and has free names', () => {
    const draft = startingFrom(ALL)
    expect(draft).toMatchObject({ source: '', destination: '' })
    expect(nameIn(draft.model)).toBe('customers-2')
    expect(nameIn(draft.sync)).toBe('customers-2')
    expect(textAt(draft.sync, ['model'])).toBe('customers-2')
    expect(takenName(draft, ALL)).toEqual([])
    expect(unchosen(draft, ['source', 'model'])).toMatchObject([{ file: 'source.yaml' }])
    const chosen = withStored(withStored(draft, 'source', LAKE, ALL), 'destination', CRM, ALL)
    expect(textAt(chosen.model, ['source'])).toBe('lake')
    expect(textAt(chosen.sync, ['destination'])).toBe('crm')
    expect(unchosen(chosen, ['source', 'model', 'destination'])).toEqual([])
  })

  it('knows which of its resources are stored, with the version that it starts from', () => {
    const draft = withStored(startingFrom(ALL), 'source', LAKE, ALL)
    expect(reusedBy(draft, ALL)).toMatchObject({ source: { name: 'lake', version: 3 } })
    expect(reusedBy(draft, ALL)).not.toHaveProperty('model')
  })

  it('copies what others use, and leaves theirs as it is', () => {
    const used = withStored(
      withText(STARTING_DRAFT, 'sync', 'kind: sync\nname: mine\n'),
      'model',
      PEOPLE,
      ALL,
    )
    const others = [...ALL, of('sync', 'theirs', { model: 'people' })]
    expect(syncsThatUse('source', 'lake', others)).toEqual(['theirs'])
    const copied = withCopy(used, 'source', others)
    expect(nameIn(copied.source)).toBe('lake-2')
    expect(nameIn(copied.model)).toBe('people-2')
    expect(textAt(copied.model, ['source'])).toBe('lake-2')
    // Where nobody else uses the model, it reads from the copy.
    expect(nameIn(withCopy(used, 'source', ALL).model)).toBe('people')
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
