import { isSluiceError } from '@sluice/contracts/errors'
import type { Definition, SyncSpec } from '@sluice/contracts/resources'
import type { Column } from '@sluice/contracts/values'
import { describe, expect, it } from 'vitest'
import { templateColumns } from './template-columns.ts'

const COLUMNS: readonly Column[] = [
  { name: 'id', type: { kind: 'long' } },
  { name: 'email', type: { kind: 'text' } },
  { name: 'note', type: { kind: 'text' } },
]

function definition(triggers: SyncSpec['triggers'], compare?: SyncSpec['compare']): Definition {
  return {
    source: { kind: 'source', name: 'files', type: 'duckdb', path: '/' },
    model: { kind: 'model', name: 'people', source: 'files', sql: 'select 1', primaryKey: 'id' },
    destination: { kind: 'destination', name: 'api', baseUrl: 'http://x' },
    sync: {
      ...{ kind: 'sync', name: 'people', model: 'people', destination: 'api', schedule: 'manual' },
      ...{ firstRun: 'backfill', timeout: 1, partitions: 1, triggers, compare },
    },
  }
}

const trigger = (path: string) => ({ method: 'PUT', path }) as const

/** Returns the message about the columns, or null. */
function refusal(triggers: SyncSpec['triggers']): string | null {
  try {
    templateColumns(definition(triggers)).assertKnown(COLUMNS)
    return null
  } catch (error) {
    if (isSluiceError(error, 'config')) return error.message
    throw error
  }
}

describe('the columns of templates', () => {
  it('are all told if the model does not have them, with place and nearest name', () => {
    const body = { json: '{\n"a": {{ row.emial | json }}}' }
    expect(refusal({ added: { ...trigger('/{{ ident }}'), body }, changed: trigger('/{{ x }}') })).toBe(
      'sync people: its templates use columns that model people does not have (it has id, email, note): ' +
        'triggers.added.path line 1, column 5: unknown column "ident"; ' +
        'triggers.added.body.json line 2, column 9: unknown column "emial"; did you mean "email"?; ' +
        'triggers.changed.path line 1, column 5: unknown column "x"',
    )
  })

  it('are told once where one trigger stands for another', () => {
    const told = (triggers: SyncSpec['triggers']) => refusal(triggers)?.match(/unknown column/g)?.length
    expect(told({ added: trigger('/{{ x }}'), changed: 'added' })).toBe(1)
    expect(told({ added: 'changed', changed: trigger('/{{ x }}') })).toBe(1)
    expect(told({ added: trigger('/{{ x }}'), changed: trigger('/{{ y }}') })).toBe(2)
  })

  it('are told ten at a time', () => {
    const path = Array.from({ length: 15 }, (_, index) => `/{{ unheard_of_${index} }}`).join('')
    expect(refusal({ added: trigger(path) })).toMatch(/column "unheard_of_9"; and 5 more$/)
  })

  it('may be any where rows are removed, which are those of an earlier model', () => {
    expect(refusal({ added: trigger('/{{ id }}'), removed: trigger('/{{ old_id }}') })).toBeNull()
  })

  it('count as changed where a template uses them', () => {
    const compared = (triggers: SyncSpec['triggers']) =>
      templateColumns(definition(triggers)).compared(COLUMNS)
    expect(compared({ added: trigger('/{{ note }}'), removed: trigger('/{{ id }}/{{ gone }}') })).toEqual([
      'id',
      'note',
    ])
    expect(compared({ added: trigger('/'), changed: 'added' })).toEqual([])
    const body = { json: '{{ row | json }}' }
    expect(compared({ added: { ...trigger('/'), body } })).toEqual(['id', 'email', 'note'])
  })

  it('or those that the sync names count as changed', () => {
    const compared = (compare: SyncSpec['compare']) =>
      templateColumns(definition({ added: trigger('/{{ id }}') }, compare)).compared(COLUMNS)
    expect(compared('used')).toEqual(['id'])
    expect(compared('all')).toEqual(['id', 'email', 'note'])
    expect(compared(['note', 'email'])).toEqual(['email', 'note'])
    expect(compared([])).toEqual([])
    const assertKnown = (compare: SyncSpec['compare']): void =>
      templateColumns(definition({ added: trigger('/{{ id }}') }, compare)).assertKnown(COLUMNS)
    expect(() => assertKnown(['email'])).not.toThrow()
    expect(() => assertKnown(['id', 'emial'])).toThrow(
      expect.objectContaining({
        message: expect.stringContaining(
          'compare names the column "emial", which model people does not have (it has id, email, note); did you mean "email"?',
        ),
        details: [{ field: 'compare[1]', message: 'unknown column "emial"; did you mean "email"?' }],
      }),
    )
  })
})
