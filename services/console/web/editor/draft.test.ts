import { describe, expect, it } from 'vitest'
import {
  STARTING_DRAFT,
  textAt,
  valueAt,
  withValue,
  yamlOf,
  withText,
  type Draft,
  type Kind,
} from './draft.ts'

const SYNC = `kind: sync # the nightly one
name: customers
# Only what the API knows.
triggers:
  added:
    method: POST
    path: /customers
  changed: added
`

describe('a draft', () => {
  it('keeps comments and order when a form changes a value', () => {
    const changed = withValue(SYNC, ['triggers', 'added', 'method'], 'PUT')
    expect(changed).toBe(SYNC.replace('POST', 'PUT'))
  })

  it('makes the maps above a new value', () => {
    const changed = withValue(SYNC, ['errors', 'retry'], 'now')
    expect(changed).toBe(`${SYNC}errors:\n  retry: now\n`)
    expect(withValue(changed, ['errors', 'retry'], undefined)).toBe(SYNC)
  })

  it('puts a map in the place of a scalar that says "as the other"', () => {
    const changed = withValue(SYNC, ['triggers', 'changed', 'method'], 'PATCH')
    expect(valueAt(changed, ['triggers', 'changed'])).toEqual({ method: 'PATCH' })
    expect(changed).toContain('# Only what the API knows.')
  })

  it('leaves a text alone that is no YAML, so that nothing typed is lost', () => {
    const broken = 'kind: sync\n  name: [1,\n'
    expect(withValue(broken, ['name'], 'x')).toBe(broken)
  })

  it('writes texts of several lines as blocks, and stored resources as people write them', () => {
    const text = yamlOf('model', 'people', {
      source: 'files',
      sql: 'select id\nfrom people\n',
      primaryKey: ['a', 'b'],
    })
    expect(text).toContain('sql: |\n  select id\n  from people\n')
    expect(valueAt(text, ['primaryKey'])).toEqual(['a', 'b'])
  })

  it('starts as four resources that belong together', () => {
    expect(textAt(STARTING_DRAFT.sync, ['model'])).toBe(textAt(STARTING_DRAFT.model, ['name']))
    expect(textAt(STARTING_DRAFT.sync, ['destination'])).toBe(textAt(STARTING_DRAFT.destination, ['name']))
    expect(textAt(STARTING_DRAFT.model, ['source'])).toBe(textAt(STARTING_DRAFT.source, ['name']))
  })

  it('keeps texts together whose resource gets another name, while it is typed, too', () => {
    const rename = (draft: Draft, name: string | undefined, fixed: readonly Kind[] = []): Draft =>
      withText(draft, 'destination', withValue(draft.destination, ['name'], name), fixed)
    const emptied = rename(STARTING_DRAFT, undefined)
    const renamed = rename(rename(emptied, 'a'), 'algolia')
    expect(textAt(renamed.sync, ['destination'])).toBe('algolia')
    expect(renamed.model).toBe(STARTING_DRAFT.model)
    expect(textAt(withText(renamed, 'source', 'name: shop\n').model, ['source'])).toBe('shop')
    expect(rename(STARTING_DRAFT, 'algolia', ['sync']).sync).toBe(STARTING_DRAFT.sync)
    const other = { ...STARTING_DRAFT, sync: 'kind: sync\ndestination: theirs\n' }
    expect(rename(other, 'algolia').sync).toBe(other.sync)
  })
})
